//! Which nodes have what of an image.

use std::collections::BTreeSet;

use longshore_client::{FleetClient, WorkloadFilter};
use longshore_fleet::{
    Image,
    api::{DeploymentView, Holder, JobView},
};
use longshore_oci::Digest;

use super::{
    connection::told,
    output::{FleetFormat, print},
    shown::{Breadth, Listing},
};
use crate::failure::Failure;

/// How many nodes are listed at most.
const MOST_HOLDERS: usize = 1_000_000;

/// The image that is meant where the words are `holders IMAGE`, which is no kind of things that the fleet keeps; `None` where they are not.
pub fn asked(words: &[String]) -> Option<Result<&str, Failure>> {
    let (first, rest) = words.split_first()?;
    if !matches!(first.as_str(), "holders" | "holder") {
        return None;
    }
    Some(match rest {
        [image] => Ok(image),
        _ => Err(Failure::Usage("of which image? `holders IMAGE`, or the digest of an image or a layer".to_owned())),
    })
}

/// Prints the nodes that have something of an image.
pub async fn get(client: &FleetClient, image: &str, format: FleetFormat) -> Result<(), Failure> {
    let digest = digest(client, image).await?;
    let holders = client.holders(&digest).all(MOST_HOLDERS).await.map_err(|error| told(&error))?;
    let breadth = Breadth { wide: format == FleetFormat::Wide, all_namespaces: false };
    print(format, &holders, |out| Listing::new::<Holder>(breadth).write(out, &holders))
}

/// What is meant: a digest as it is, or that which workloads are made from by an image's tag.
async fn digest(client: &FleetClient, text: &str) -> Result<Digest, Failure> {
    if let Ok(digest) = text.parse() {
        return Ok(digest);
    }
    let image: Image = text.parse().map_err(|error| Failure::Usage(format!("{text:?} is no image: {error}")))?;
    if let Some(digest) = image.digest {
        return Ok(digest);
    }
    let mut meant = BTreeSet::new();
    let all = WorkloadFilter::default();
    let mut deployments = client.workloads::<DeploymentView>(&all);
    while let Some(page) = deployments.next_page().await.map_err(|error| told(&error))? {
        let same = page.items.into_iter().filter(|view| view.spec.template.image == image);
        meant.extend(same.filter_map(|view| view.image.digest));
    }
    let mut jobs = client.workloads::<JobView>(&all);
    while let Some(page) = jobs.next_page().await.map_err(|error| told(&error))? {
        let same = page.items.into_iter().filter(|view| view.spec.template.image == image);
        meant.extend(same.filter_map(|view| view.image.digest));
    }
    let mut digests = meant.into_iter();
    match (digests.next(), digests.next()) {
        (Some(digest), None) => Ok(digest),
        (None, _) => {
            Err(Failure::NotFound(format!("no deployment or job is made from {image}; its digest finds it all the same")))
        }
        (Some(one), Some(other)) => {
            Err(Failure::Usage(format!("{image} was {one} and {other} at different times: say which digest is meant")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_are_of_one_image() {
        let asked = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            asked(&words).map(|image| image.map(str::to_owned).map_err(|error| error.to_string()))
        };
        assert_eq!(asked(&["holders", "hello:1"]), Some(Ok("hello:1".to_owned())));
        assert_eq!(asked(&["pods"]), None);
        assert!(matches!(asked(&["holders"]), Some(Err(_))) && matches!(asked(&["holders", "a", "b"]), Some(Err(_))));
    }
}
