//! Policy documents: a text is taken or refused with a reason, and what is taken judges any tag of any repository.
#![no_main]

use libfuzzer_sys::fuzz_target;
use longshore_registry::PolicyDocument;

fuzz_target!(|text: &str| {
    let (names, tags) = (["a", "prod/app", "team/deeper/app"], ["latest", "v1.2.3", "_"]);
    match PolicyDocument::parse(text) {
        Ok(document) => {
            for (name, tag) in names.iter().flat_map(|name| tags.iter().map(move |tag| (name, tag))) {
                let (name, tag) = (name.parse().unwrap(), tag.parse().unwrap());
                assert!(document.is_about(&name, &tag) || !document.is_frozen(&name, &tag));
            }
        }
        Err(reason) => assert!(!reason.to_string().is_empty()),
    }
});
