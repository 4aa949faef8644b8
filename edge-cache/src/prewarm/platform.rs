use std::{fmt, str::FromStr};

use longshore_oci::{Descriptor, Platform};

/// A platform that images are wanted for: `linux/amd64`, `linux/arm/v7`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct WantedPlatform {
    os: String,
    architecture: String,
    /// Any, where it is not said: the plain one where there is one.
    variant: Option<String>,
}

/// The text is no platform.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no platform; one is written linux/amd64 or linux/arm/v7")]
pub struct InvalidPlatform(String);

/// An index has nothing for a platform.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it is not there for {missing}; it is for {}", listed(has))]
pub struct Lacks {
    missing: String,
    has: Vec<String>,
}

fn listed(platforms: &[String]) -> String {
    if platforms.is_empty() { "no platform that has a name".to_owned() } else { platforms.join(", ") }
}

/// The longest part of a platform, in bytes.
const MOST_BYTES: usize = 32;

impl FromStr for WantedPlatform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        let invalid = || InvalidPlatform(text.to_owned());
        let is_word = |part: &str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
            (1..=MOST_BYTES).contains(&part.len()) && part.bytes().all(is_plain)
        };
        let parts: Vec<&str> = text.split('/').collect();
        if !parts.iter().all(|part| is_word(part)) {
            return Err(invalid());
        }
        match parts[..] {
            [os, architecture] => Ok(Self::of(os, architecture, None)),
            [os, architecture, variant] => Ok(Self::of(os, architecture, Some(variant))),
            _ => Err(invalid()),
        }
    }
}

impl WantedPlatform {
    /// As Go names its parts, whatever other name was used; what every processor of a kind can is no variant.
    fn of(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let (os, architecture) = (os.to_ascii_lowercase(), architecture.to_ascii_lowercase());
        let variant = variant.filter(|variant| !variant.is_empty()).map(str::to_ascii_lowercase);
        let (architecture, variant) = match (architecture.as_str(), variant.as_deref()) {
            ("x86_64" | "x86-64" | "amd64", None | Some("v1")) => ("amd64", None),
            ("x86_64" | "x86-64", Some(_)) => ("amd64", variant),
            ("aarch64" | "arm64", None | Some("v8" | "8")) => ("arm64", None),
            ("aarch64", Some(_)) => ("arm64", variant),
            ("armhf", _) => ("arm", Some("v7".to_owned())),
            ("armel", _) => ("arm", Some("v6".to_owned())),
            ("arm", Some(number @ ("5" | "6" | "7" | "8"))) => ("arm", Some(format!("v{number}"))),
            ("i386" | "386", _) => ("386", None),
            (other, _) => (other, variant),
        };
        Self { os, architecture: architecture.to_owned(), variant }
    }

    fn of_entry(platform: &Platform) -> Self {
        Self::of(&platform.os, &platform.architecture, platform.variant.as_deref())
    }
}

impl fmt::Display for WantedPlatform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(formatter, "/{variant}"))
    }
}

/// Those of an index's manifests that are for one of these platforms, all where none is named. What has no platform is for all.
pub fn choose<'a>(manifests: &'a [Descriptor], wanted: &[WantedPlatform]) -> Result<Vec<&'a Descriptor>, Lacks> {
    if wanted.is_empty() {
        return Ok(manifests.iter().collect());
    }
    let entries: Vec<_> = manifests.iter().map(|entry| (entry, entry.platform.as_ref().map(WantedPlatform::of_entry))).collect();
    if entries.iter().all(|(_, platform)| platform.is_none()) {
        return Ok(manifests.iter().collect());
    }
    let mut is_chosen = vec![false; entries.len()];
    for wish in wanted {
        let is_near = |platform: &WantedPlatform| platform.os == wish.os && platform.architecture == wish.architecture;
        let near = entries.iter().filter_map(|(_, platform)| platform.as_ref().filter(|platform| is_near(platform)));
        let has_plain = near.clone().any(|platform| platform.variant.is_none());
        let is_it = |platform: &WantedPlatform| {
            is_near(platform) && (platform.variant == wish.variant || (wish.variant.is_none() && !has_plain))
        };
        let found: Vec<_> = entries.iter().map(|(_, platform)| platform.as_ref().is_some_and(is_it)).collect();
        if !found.contains(&true) {
            let mut has: Vec<_> = entries.iter().filter_map(|(_, platform)| platform.as_ref()).map(ToString::to_string).collect();
            has.retain(|platform| platform != "unknown/unknown");
            has.sort();
            has.dedup();
            return Err(Lacks { missing: wish.to_string(), has });
        }
        is_chosen.iter_mut().zip(found).for_each(|(chosen, found)| *chosen |= found);
    }
    Ok(manifests.iter().zip(is_chosen).filter_map(|(entry, is_chosen)| is_chosen.then_some(entry)).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use longshore_oci::{Algorithm, Digest};

    use super::*;

    fn index(platforms: &[Option<&str>]) -> Vec<Descriptor> {
        let entry = |(place, platform): (usize, Option<&str>)| {
            let platform = platform.map(|text| {
                let parts: Vec<_> = text.split('/').map(str::to_owned).collect();
                let variant = parts.get(2).cloned();
                Platform { os: parts[0].clone(), architecture: parts[1].clone(), variant, os_version: None }
            });
            let digest = Digest::of(Algorithm::Sha256, &[u8::try_from(place).unwrap()]);
            let media_type = longshore_oci::media_type::OCI_MANIFEST.to_owned();
            Descriptor { media_type, digest, size: 1, urls: vec![], annotations: BTreeMap::new(), artifact_type: None, platform }
        };
        platforms.iter().copied().enumerate().map(entry).collect()
    }

    fn chosen(platforms: &[Option<&str>], wanted: &[&str]) -> Result<Vec<usize>, String> {
        let entries = index(platforms);
        let wanted: Vec<_> = wanted.iter().map(|text| text.parse().unwrap()).collect();
        let chosen = choose(&entries, &wanted).map_err(|lacks| lacks.to_string())?;
        Ok(chosen.iter().map(|entry| entries.iter().position(|other| other == *entry).unwrap()).collect())
    }

    #[test]
    fn takes_what_is_for_a_platform() {
        let usual =
            [Some("linux/amd64"), Some("linux/arm/v6"), Some("linux/arm/v7"), Some("linux/arm64/v8"), Some("unknown/unknown")];
        assert_eq!(chosen(&usual, &[]), Ok(vec![0, 1, 2, 3, 4]));
        assert_eq!(chosen(&usual, &["linux/amd64"]), Ok(vec![0]));
        assert_eq!(chosen(&usual, &["Linux/x86_64", "linux/aarch64"]), Ok(vec![0, 3]));
        assert_eq!(chosen(&usual, &["linux/arm64/v8"]), Ok(vec![3]));
        assert_eq!(chosen(&usual, &["linux/arm/v7"]), Ok(vec![2]));
        assert_eq!(chosen(&usual, &["linux/arm"]), Ok(vec![1, 2]), "no variant is any");
        let lacks = chosen(&usual, &["linux/amd64", "linux/riscv64"]).unwrap_err();
        assert_eq!(lacks, "it is not there for linux/riscv64; it is for linux/amd64, linux/arm/v6, linux/arm/v7, linux/arm64");
        assert!(chosen(&usual, &["linux/arm/v5"]).is_err() && chosen(&usual, &["windows/amd64"]).is_err());
    }

    #[test]
    fn the_plain_one_comes_before_its_variants() {
        let variants = [Some("linux/amd64/v3"), Some("linux/amd64"), Some("linux/amd64")];
        assert_eq!(chosen(&variants, &["linux/amd64"]), Ok(vec![1, 2]), "all that say the same, as of several Windows");
        assert_eq!(chosen(&variants, &["linux/amd64/v3"]), Ok(vec![0]));
        assert_eq!(chosen(&[None, None], &["linux/amd64"]), Ok(vec![0, 1]), "an index that tells no platforms");
        assert_eq!(chosen(&[None, Some("linux/s390x")], &["linux/s390x"]), Ok(vec![1]));
        assert_eq!(chosen(&[], &["linux/amd64"]), Ok(vec![]));
    }

    #[test]
    fn refuses_what_is_no_platform() {
        for text in ["", "linux", "linux/", "/amd64", "linux/amd64/v1/x", "linux/am d64", "linux/\u{e9}"] {
            assert!(text.parse::<WantedPlatform>().is_err(), "{text}");
        }
        assert_eq!("LINUX/armhf".parse::<WantedPlatform>().unwrap().to_string(), "linux/arm/v7");
    }
}
