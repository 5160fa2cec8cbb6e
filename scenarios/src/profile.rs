//! Profiles: how large the load is.

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::nearest::did_you_mean;
use crate::overrides::{Origin, Overrides};
use crate::wire;

/// The profiles that are compiled in, smallest first: id and text.
const SHIPPED: [(&str, &str); 3] = [
    ("quick", include_str!("../profiles/quick.toml")),
    ("standard", include_str!("../profiles/standard.toml")),
    ("paper", include_str!("../profiles/paper.toml")),
];

/// A named size.
#[derive(Clone)]
pub struct Profile {
    /// Its name on the command line and in files.
    pub id: String,
    /// One sentence: what it is for.
    pub purpose: String,
    /// The values that it sets.
    pub overrides: Overrides,
}

/// A profile as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Wire {
    id: String,
    purpose: String,
    workload: toml::Table,
}

impl Profile {
    /// The shipped profile of that name.
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the nearest name.
    pub fn load(id: &str) -> Result<Self> {
        match SHIPPED.iter().find(|(known, _)| *known == id) {
            Some((_, text)) => Profile::parse(text, &format!("profiles/{id}.toml")),
            None => Err(Error::UnknownName {
                what: "profile",
                name: id.to_owned(),
                hint: did_you_mean(id, SHIPPED.iter().map(|(id, _)| *id)),
            }),
        }
    }

    /// Every shipped profile, smallest first.
    ///
    /// # Errors
    /// None in a released build: a test reads them all.
    pub fn shipped() -> Result<Vec<Self>> {
        SHIPPED.iter().map(|(id, _)| Profile::load(id)).collect()
    }

    fn parse(text: &str, path: &str) -> Result<Self> {
        let Wire { id, purpose, workload } = wire::read(text, path)?;
        Ok(Profile { id, purpose, overrides: Overrides::from_table(&workload, Origin::Profile(path.to_owned()))? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_profile_parses_and_bears_its_name() {
        for (profile, (id, _)) in Profile::shipped().unwrap().iter().zip(SHIPPED) {
            assert_eq!(profile.id, id);
        }
    }
}
