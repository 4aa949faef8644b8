use longshore_oci::Digest;

use super::refusal::Refusal;

/// A path of the edge's own API, after what they all begin with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ControlRoute {
    /// `status`
    Status,
    /// `blobs`
    Blobs,
    /// `blobs/<digest>`
    Blob(Digest),
    /// `pins`
    Pins,
    /// `scrub`
    Scrub,
    /// `swarm`
    Swarm,
    /// `layers`
    Layers,
    /// `transfers`
    Transfers,
}

impl ControlRoute {
    /// Reads it.
    pub fn parse(path: &str) -> Result<Self, Refusal> {
        match path {
            "status" => Ok(Self::Status),
            "blobs" => Ok(Self::Blobs),
            "pins" => Ok(Self::Pins),
            "scrub" => Ok(Self::Scrub),
            "swarm" => Ok(Self::Swarm),
            "layers" => Ok(Self::Layers),
            "transfers" => Ok(Self::Transfers),
            _ => {
                let digest = path.strip_prefix("blobs/").ok_or_else(Refusal::unknown)?;
                Ok(Self::Blob(digest.parse().map_err(Refusal::digest)?))
            }
        }
    }

    /// The methods that it has.
    pub fn allowed(&self) -> &'static str {
        match self {
            Self::Status | Self::Blobs | Self::Swarm | Self::Layers | Self::Transfers => "GET, HEAD",
            Self::Blob(_) => "DELETE",
            Self::Pins => "GET, HEAD, POST, DELETE",
            Self::Scrub => "GET, HEAD, POST",
        }
    }
}

#[cfg(test)]
mod tests {
    use longshore_oci::Algorithm;

    use super::*;

    #[test]
    fn a_path_is_read_once() {
        let digest = Digest::of(Algorithm::Sha256, b"");
        assert_eq!(ControlRoute::parse(&format!("blobs/{digest}")).ok(), Some(ControlRoute::Blob(digest)));
        assert_eq!(ControlRoute::parse("status").ok(), Some(ControlRoute::Status));
        assert_eq!(ControlRoute::parse("swarm").ok(), Some(ControlRoute::Swarm));
        assert_eq!(ControlRoute::parse("layers").ok(), Some(ControlRoute::Layers));
        for (path, status) in [("", 404), ("statu", 404), ("pins/x", 404), ("blobs/", 400), ("blobs/sha256:x", 400)] {
            assert_eq!(ControlRoute::parse(path).expect_err("no such path").status.as_u16(), status, "{path}");
        }
    }
}
