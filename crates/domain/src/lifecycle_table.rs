//! The lifecycle as a table for people, made from the one that holds.

use std::fmt::Write;

use crate::lifecycle::{ALREADY_SO, Cause, MachineState, Operation, TRANSITIONS, Transition, When};

/// The lifecycle as a Markdown table: what leads from where, by way of what, to where; and where it changes nothing.
///
/// It is made from [`TRANSITIONS`] and [`ALREADY_SO`]; the API's description and the documentation of this crate show it.
pub fn lifecycle_table() -> String {
    let mut table =
        String::from("| cause | from → by way of → to | already so: nothing changes |\n| --- | --- | --- |\n");
    for row in TRANSITIONS {
        let (from, already) = (from(row), already(row));
        let via: String = row.via.iter().map(|state| format!(" → {state}")).collect();
        let when = match row.when {
            When::Always => "",
            When::Forced => ", forced",
            When::ForcedAndStuck => ", forced, where it is stuck",
        };
        let way = format!("{from}{via} → {}", row.to);
        // Writing to a text cannot fail.
        let _ = writeln!(table, "| {}{when} | {} | {already} |", row.cause, way.trim_start());
    }
    table
}

fn from(row: &Transition) -> String {
    let named = |states: &[MachineState]| states.iter().map(|state| state.code()).collect::<Vec<_>>().join(" ");
    let all_but: Vec<_> = MachineState::ALL.iter().filter(|state| !row.from.contains(state)).copied().collect();
    if !row.from.is_empty() && all_but.len() < 3 { format!("any but {}", named(&all_but)) } else { named(row.from) }
}

/// What stands beside the first row of an operation.
fn already(row: &Transition) -> String {
    let first = TRANSITIONS.iter().find(|one| one.cause == row.cause);
    let operation = ALREADY_SO.iter().find(|(operation, _)| Cause::from(*operation) == row.cause);
    match operation {
        Some((Operation::Resize, _)) => "the same machine type".into(),
        Some((_, states)) if first == Some(row) => {
            states.iter().map(|state| state.code()).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_shows_the_table_that_holds() {
        assert_eq!(lifecycle_table(), include_str!("lifecycle_table.md"), "write the first to src/lifecycle_table.md");
    }
}
