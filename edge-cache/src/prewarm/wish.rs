use jiff::Timestamp;
use longshore_service::config::Duration;
use serde::Deserialize;

use super::platform::{InvalidPlatform, WantedPlatform};

/// The longest name of an image, in bytes: a host, a repository, a tag and a digest.
const MOST_NAME_BYTES: usize = 700;
/// How many platforms may be named.
const MOST_PLATFORMS: usize = 16;
/// The longest that an image is pinned for.
const MOST_PIN: Duration = Duration::days(3650);

/// What is asked for, as JSON.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    images: Vec<String>,
    #[serde(default)]
    platforms: Vec<String>,
    #[serde(default)]
    pin: Option<String>,
    #[serde(default)]
    deadline: Option<Timestamp>,
}

/// What is to be there before it is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wish {
    /// The images, as they are written, each once and in order.
    pub images: Vec<String>,
    /// The platforms, likewise; none for all that an image has.
    pub platforms: Vec<WantedPlatform>,
    /// How long they are pinned for, from the moment at which it is known what they are made of.
    pub pin: Option<Duration>,
    /// When it must be done.
    pub deadline: Option<Timestamp>,
}

/// What is asked for makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum InvalidWish {
    /// It can't be read.
    #[error("the request is no JSON of images, platforms, pin and deadline: {0}")]
    Json(#[source] serde_json::Error),
    /// There are no images, or too many.
    #[error("from 1 to {most} images can be named, not {count}")]
    Images {
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// Something is no image's name.
    #[error("{0:?} is no image's name")]
    Name(String),
    /// There are too many platforms.
    #[error("up to {MOST_PLATFORMS} platforms can be named, not {0}")]
    Platforms(usize),
    /// See [`InvalidPlatform`].
    #[error(transparent)]
    Platform(#[from] InvalidPlatform),
    /// How long images are to be pinned can't be read, or is too long.
    #[error("the pin is a duration up to {MOST_PIN} such as 7d, not {0:?}")]
    Pin(String),
    /// The deadline is over.
    #[error("the deadline, {0}, is over")]
    Deadline(Timestamp),
}

impl Wish {
    /// Reads a request's body.
    pub fn parse(bytes: &[u8], most_images: usize, now: Timestamp) -> Result<Self, InvalidWish> {
        let Body { mut images, platforms, pin, deadline } = serde_json::from_slice(bytes).map_err(InvalidWish::Json)?;
        images.sort();
        images.dedup();
        if images.is_empty() || images.len() > most_images {
            return Err(InvalidWish::Images { count: images.len(), most: most_images });
        }
        let is_name =
            |name: &str| (1..=MOST_NAME_BYTES).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
        if let Some(other) = images.iter().find(|image| !is_name(image)) {
            return Err(InvalidWish::Name(other.chars().take(MOST_NAME_BYTES).collect()));
        }
        if platforms.len() > MOST_PLATFORMS {
            return Err(InvalidWish::Platforms(platforms.len()));
        }
        let mut platforms = platforms.iter().map(|text| text.parse()).collect::<Result<Vec<WantedPlatform>, _>>()?;
        platforms.sort();
        platforms.dedup();
        let pin = pin.map(|text| match text.parse::<Duration>() {
            Ok(pin) if (Duration::seconds(1)..=MOST_PIN).contains(&pin) => Ok(pin),
            _ => Err(InvalidWish::Pin(text)),
        });
        if let Some(deadline) = deadline.filter(|deadline| *deadline <= now) {
            return Err(InvalidWish::Deadline(deadline));
        }
        Ok(Self { images, platforms, pin: pin.transpose()?, deadline })
    }

    /// Whether it is the same work; until when is not part of that.
    pub fn is_same_as(&self, other: &Self) -> bool {
        (&self.images, &self.platforms, self.pin) == (&other.images, &other.platforms, other.pin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Wish, String> {
        Wish::parse(text.as_bytes(), 3, "2026-06-01T12:00:00Z".parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_same_is_the_same_however_it_is_written() {
        let one = parse(r#"{"images":["b","a","a"],"platforms":["linux/x86_64","linux/arm64"],"pin":"7d"}"#).unwrap();
        let other = parse(
            r#"{"images":["a","b"],"platforms":["linux/arm64/v8","linux/amd64"],"pin":"168h","deadline":"2026-06-01T12:00:01Z"}"#,
        )
        .unwrap();
        assert!(one.is_same_as(&other) && one != other);
        assert_eq!(one.images, ["a", "b"]);
        let longer = parse(r#"{"images":["a","b"],"platforms":["linux/arm64","linux/amd64"],"pin":"8d"}"#).unwrap();
        assert!(!longer.is_same_as(&other));
        assert!(!parse(r#"{"images":["a"]}"#).unwrap().is_same_as(&parse(r#"{"images":["b"]}"#).unwrap()));
    }

    #[test]
    fn says_what_makes_no_sense() {
        let refused = |text: &str| parse(text).unwrap_err();
        assert!(refused("[]").contains("no JSON") && refused(r#"{"images":["a"],"pinn":"7d"}"#).contains("pinn"));
        assert_eq!(refused(r#"{"images":[]}"#), "from 1 to 3 images can be named, not 0");
        assert_eq!(refused(r#"{"images":["a","b","c","d"]}"#), "from 1 to 3 images can be named, not 4");
        assert_eq!(refused(r#"{"images":["a b"]}"#), "\"a b\" is no image's name");
        assert!(refused(r#"{"images":["a"],"platforms":["linux"]}"#).contains("no platform"));
        assert!(
            refused(&format!(r#"{{"images":["a"],"platforms":[{}"linux/amd64"]}}"#, r#""linux/amd64","#.repeat(16)))
                .contains("17")
        );
        for pin in ["0s", "7", "4000d", "x"] {
            assert!(
                refused(&format!(r#"{{"images":["a"],"pin":"{pin}"}}"#)).contains("the pin is a duration up to 87600h"),
                "{pin}"
            );
        }
        assert!(refused(r#"{"images":["a"],"deadline":"2026-06-01T12:00:00Z"}"#).contains("is over"));
    }
}
