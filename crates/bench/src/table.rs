//! A table of text, in the form that both a terminal and Markdown show well.

/// Aligns cells in columns: the first to the left, the others to the right.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
    let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    let width =
        |column| rows.iter().chain([&head]).map(|row| cell(row, column).chars().count()).max().unwrap_or(0).max(3);
    let line = |row: &[String]| {
        let cells = (0..head.len()).map(|column| pad(&cell(row, column), width(column), column > 0));
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let rule = (0..head.len()).map(|column| match column {
        0 => "-".repeat(width(column)),
        _ => format!("{}:", "-".repeat(width(column) - 1)),
    });
    let rule = format!("| {} |\n", rule.collect::<Vec<_>>().join(" | "));
    [line(&head), rule].into_iter().chain(rows.iter().map(|row| line(row))).collect()
}

fn pad(text: &str, width: usize, right: bool) -> String {
    let space = " ".repeat(width.saturating_sub(text.chars().count()));
    if right { format!("{space}{text}") } else { format!("{text}{space}") }
}

/// A number with as many digits as it deserves.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => grouped(value.round()),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Thousands apart.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |digits| ("-", digits));
    let first = match digits.len() % 3 {
        0 => 3,
        rest => rest,
    };
    let (head, tail) = digits.split_at(first.min(digits.len()));
    let thousands = tail.as_bytes().chunks(3).map(|three| String::from_utf8_lossy(three));
    let parts: Vec<_> = [head.into()].into_iter().chain(thousands).collect();
    format!("{sign}{}", parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_they_deserve() {
        let shown = [1_234_567.8, 999.6, 100.0, 42.04, 0.666, -1_000.0].map(number);
        assert_eq!(shown, ["1,234,568", "1,000", "100", "42.0", "0.67", "-1,000"]);
    }

    #[test]
    fn cells_are_aligned() {
        let shown = table(&["path", "n"], &[vec!["a".into(), "12,345".into()], vec!["longer".into(), "1".into()]]);
        let expected = "| path   |      n |\n| ------ | -----: |\n| a      | 12,345 |\n| longer |      1 |\n";
        assert_eq!(shown, expected);
    }
}
