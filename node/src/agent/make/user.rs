//! As whom a container runs, and whether it may.

use longshore_fleet::Assignment;

use crate::agent::pod::ImageUser;

/// What an image is refused with that would run as root.
const MUST_NOT_BE_ROOT: &str = "MustNotBeRoot";

/// Why an image is not to be run for a pod: a word for it, and a sentence.
pub fn refusal(assignment: &Assignment, image: &ImageUser) -> Option<(&'static str, String)> {
    if !assignment.must_not_be_root {
        return None;
    }
    let advice = "set security.runAsUser to another number, or build the image with a USER that is one";
    let why = match (assignment.template.security.run_as_user, image.uid, image.name.as_str()) {
        (Some(0), ..) => "security.runAsUser is 0, which is root",
        (None, Some(0), _) => "the image runs as 0, which is root",
        (Some(_), ..) | (None, Some(_), _) => return None,
        (None, None, "" | "root") => "the image runs as root",
        (None, None, name) => {
            let why = format!("the image runs as {name:?}, and nobody can tell whether that is root");
            return Some((MUST_NOT_BE_ROOT, format!("the namespace does not let containers be root: {why}; {advice}")));
        }
    };
    Some((MUST_NOT_BE_ROOT, format!("the namespace does not let containers be root: {why}; {advice}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::pod::tests::assignment;

    #[test]
    fn root_is_refused_by_whatever_name() {
        for (run_as_user, uid, name, is_refused) in [
            (None, None, "", true),
            (None, None, "root", true),
            (None, None, "app", true),
            (None, Some(0), "", true),
            (None, Some(1000), "", false),
            (Some(0), Some(1000), "", true),
            (Some(7), None, "root", false),
        ] {
            let mut assignment = assignment("{}");
            assignment.template.security.run_as_user = run_as_user;
            let user = ImageUser { uid, name: name.into() };
            assert_eq!(refusal(&assignment, &user), None, "anybody may be root");
            assignment.must_not_be_root = true;
            let refusal = refusal(&assignment, &user);
            assert_eq!(refusal.is_some(), is_refused, "{run_as_user:?} {uid:?} {name:?}");
            if let Some((word, why)) = refusal {
                assert!(word == "MustNotBeRoot" && why.contains("security.runAsUser"), "{why}");
            }
        }
    }
}
