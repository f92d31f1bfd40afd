//! The configured catalogue: regions and machine types.

use crate::name::Code;

/// A place: code and name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Region {
    /// The code that requests use.
    pub code: Code,
    /// The name for people.
    pub name: String,
}

/// A size of machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct MachineType {
    /// The code that requests use.
    pub code: Code,
    /// Virtual processors.
    pub vcpus: u32,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// Price of an hour of RUNNING, in millionths of the catalogue's currency unit.
    pub price_per_hour_micros: u64,
}

/// Why a catalogue is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCatalogue {
    /// There is no region, or no machine type, or more than [`Catalogue::MAX`] of one.
    #[error("a catalogue has 1 to {} regions and 1 to {} machine types", Catalogue::MAX, Catalogue::MAX)]
    Size,
    /// A code stands twice.
    #[error("the code '{0}' stands twice")]
    Duplicate(Code),
    /// A region's name is empty, longer than 100 characters or has control characters.
    #[error("the region '{0}' needs a name of 1 to 100 characters")]
    RegionName(Code),
}

/// The regions and machine types that exist: at least one of each, no code twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    regions: Vec<Region>,
    machine_types: Vec<MachineType>,
}

impl Catalogue {
    /// The most regions, and the most machine types.
    pub const MAX: usize = 1000;

    /// A catalogue of these, in this order. The first machine type is the one a machine gets when none is asked for.
    ///
    /// # Errors
    /// When there is none or too many of either, a code stands twice, or a region has no proper name.
    pub fn new(regions: Vec<Region>, machine_types: Vec<MachineType>) -> Result<Self, InvalidCatalogue> {
        if [regions.len(), machine_types.len()].iter().any(|n| !(1..=Self::MAX).contains(n)) {
            return Err(InvalidCatalogue::Size);
        }
        no_duplicate(regions.iter().map(|region| &region.code))?;
        no_duplicate(machine_types.iter().map(|machine_type| &machine_type.code))?;
        let bad = |region: &&Region| {
            let length = region.name.chars().count();
            !(1..=100).contains(&length) || region.name.chars().any(char::is_control)
        };
        match regions.iter().find(bad) {
            Some(region) => Err(InvalidCatalogue::RegionName(region.code.clone())),
            None => Ok(Self { regions, machine_types }),
        }
    }

    /// The regions, in their order.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// The machine types, in their order.
    pub fn machine_types(&self) -> &[MachineType] {
        &self.machine_types
    }

    /// The region with this code.
    pub fn region(&self, code: &str) -> Option<&Region> {
        self.regions.iter().find(|region| region.code.as_str() == code)
    }

    /// The machine type with this code.
    pub fn machine_type(&self, code: &str) -> Option<&MachineType> {
        self.machine_types.iter().find(|machine_type| machine_type.code.as_str() == code)
    }

    /// The machine type of a machine for which none is asked: the first.
    pub fn default_machine_type(&self) -> &MachineType {
        &self.machine_types[0]
    }
}

fn no_duplicate<'a>(codes: impl Iterator<Item = &'a Code>) -> Result<(), InvalidCatalogue> {
    let mut seen = std::collections::BTreeSet::new();
    for code in codes {
        if !seen.insert(code) {
            return Err(InvalidCatalogue::Duplicate(code.clone()));
        }
    }
    Ok(())
}

/// Code and name of the regions that are built in.
const REGIONS: [(&str, &str); 8] = [
    ("A", "Amsterdam"),
    ("B", "Bengaluru"),
    ("C", "Cape Town"),
    ("D", "Dublin"),
    ("E", "Edmonton"),
    ("F", "Frankfurt"),
    ("G", "Guadalajara"),
    ("H", "Helsinki"),
];

/// Code, vCPUs, memory in GiB and price an hour in micro-units of the machine types that are built in.
const MACHINE_TYPES: [(&str, u32, u32, u64); 8] = [
    ("small", 1, 2, 11_000),
    ("medium", 2, 4, 22_000),
    ("large", 4, 8, 44_000),
    ("xlarge", 8, 16, 88_000),
    ("2xlarge", 16, 32, 176_000),
    ("compute-large", 4, 4, 38_000),
    ("memory-large", 4, 32, 76_000),
    ("memory-xlarge", 8, 64, 152_000),
];

impl Default for Catalogue {
    /// Eight regions, A to H, and eight machine types.
    fn default() -> Self {
        let code = |text: &str| text.parse();
        let regions = REGIONS.iter().filter_map(|(c, name)| Some(Region { code: code(c).ok()?, name: (*name).into() }));
        let machine_types = MACHINE_TYPES.iter().filter_map(|&(c, vcpus, gib, price_per_hour_micros)| {
            Some(MachineType { code: code(c).ok()?, vcpus, memory_mib: gib * 1024, price_per_hour_micros })
        });
        Self { regions: regions.collect(), machine_types: machine_types.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_catalogue_is_valid_and_whole() {
        let catalogue = Catalogue::default();
        assert_eq!((catalogue.regions().len(), catalogue.machine_types().len()), (8, 8));
        assert!(Catalogue::new(catalogue.regions.clone(), catalogue.machine_types.clone()).is_ok());
        assert_eq!(catalogue.region("F").unwrap().name, "Frankfurt");
        assert_eq!(catalogue.default_machine_type().code.as_str(), "small");
    }

    #[test]
    fn a_bad_catalogue_is_refused() {
        let Catalogue { regions, machine_types } = Catalogue::default();
        let twice = [&regions[..], &regions[..]].concat();
        assert_eq!(
            Catalogue::new(twice, machine_types.clone()),
            Err(InvalidCatalogue::Duplicate("A".parse().unwrap()))
        );
        assert_eq!(Catalogue::new(vec![], machine_types.clone()), Err(InvalidCatalogue::Size));
        let nameless = vec![Region { code: "X".parse().unwrap(), name: String::new() }];
        assert_eq!(Catalogue::new(nameless, machine_types), Err(InvalidCatalogue::RegionName("X".parse().unwrap())));
    }
}
