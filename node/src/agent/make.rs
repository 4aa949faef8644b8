//! What a pod is made of, in the words of the container runtime interface. Pure.

mod container;
mod labels;
mod resources;
mod sandbox;
mod user;

use longshore_fleet::{Image, Template};
use longshore_oci::{Algorithm, Digest};

pub use container::container;
pub use labels::{Labels, containers_before, grace, mark_of, of_agent, of_pod, pod_of};
pub use resources::Capacity;
pub use sandbox::sandbox;
pub use user::refusal;

/// What every container of a pod is called.
pub const CONTAINER: &str = "main";

/// What a container is recognized by as one of this template: of another it has another mark. Of all that a template says it goes by what
/// is run, so that an agent that knows more of templates still recognizes what an earlier one has made.
pub fn mark(template: &Template) -> String {
    let mut text = String::new();
    let mut add = |word: &str| {
        text.push_str(&word.len().to_string());
        text.push(' ');
        text.push_str(word);
    };
    add(&image_name(template));
    for words in [&template.command, &template.args] {
        add(&words.len().to_string());
        for word in words {
            add(word);
        }
    }
    for variable in &template.env {
        add(&variable.name);
        add(&variable.value);
    }
    Digest::of(Algorithm::Sha256, text.as_bytes()).hex()[..16].to_owned()
}

/// The image of a template as the runtime is to name it.
pub fn image_name(template: &Template) -> String {
    image_text(&template.image)
}

/// An image as the runtime is to name it: by its digest alone, where it has one.
pub fn image_text(image: &Image) -> String {
    image.digest.as_ref().map_or_else(|| image.to_string(), |digest| image.at(digest.clone()).to_string())
}

/// The file of a container's log, in its pod's folder.
pub fn log_file(attempt: u32) -> String {
    format!("{attempt}.log")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(json: &str) -> Template {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_run_makes_the_mark() {
        let first = mark(&template(r#"{"image":"localhost/a:1","command":["a","b"]}"#));
        for same in [
            r#"{"image":"localhost/a:1","command":["a","b"]}"#,
            r#"{"image":"localhost/a:1","command":["a","b"],"labels":{"a":"b"},"terminationGracePeriodSeconds":3}"#,
        ] {
            assert_eq!(mark(&template(same)), first, "{same}");
        }
        for other in [
            r#"{"image":"localhost/a:2","command":["a","b"]}"#,
            r#"{"image":"localhost/a:1","command":["ab"]}"#,
            r#"{"image":"localhost/a:1","command":["a"],"args":["b"]}"#,
            r#"{"image":"localhost/a:1","command":["a","b"],"env":[{"name":"A"}]}"#,
        ] {
            assert_ne!(mark(&template(other)), first, "{other}");
        }
    }

    #[test]
    fn an_image_goes_by_its_digest() {
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let both = template(&format!(r#"{{"image":"localhost:5000/a:1@{digest}"}}"#));
        assert_eq!(image_name(&both), format!("localhost:5000/a@{digest}"));
    }
}
