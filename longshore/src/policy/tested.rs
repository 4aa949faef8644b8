//! What a document that is tried out comes to, and how that is shown.

use std::io::{self, Write};

use longshore_client::{RegistryClient, TestSubjects, TestedImage, TestedPlace};

use crate::{
    connection::explained,
    failure::Failure,
    output::{NOTHING, Table},
};

/// How many images are asked about at once.
const AT_ONCE: usize = 50;

/// All that came of it.
#[derive(Default)]
pub struct Tested {
    /// How many images were judged.
    pub judged: u64,
    /// Those that are told of.
    pub images: Vec<TestedImage>,
}

impl Tested {
    /// Tries a document out on all tagged images of which it, or what is in force, asks something; only those come back to which something
    /// else happens, where no others are wanted.
    pub async fn on_all(
        client: &RegistryClient,
        document: &str,
        place: &TestedPlace,
        only_changes: bool,
    ) -> Result<Self, Failure> {
        let mut tested = Self::default();
        let mut subjects = TestSubjects { only_changes, ..TestSubjects::default() };
        loop {
            let page = client.test_policy(document, place, &subjects).await.map_err(|error| explained(&error))?;
            tested.judged += page.judged;
            tested.images.extend(page.images);
            let Some(next) = page.next else { return Ok(tested) };
            subjects.after = Some(next);
        }
    }

    /// Tries a document out on these images.
    pub async fn on(client: &RegistryClient, document: &str, place: &TestedPlace, images: &[String]) -> Result<Self, Failure> {
        let mut tested = Self::default();
        for images in images.chunks(AT_ONCE) {
            let subjects = TestSubjects { images: images.to_vec(), ..TestSubjects::default() };
            let page = client.test_policy(document, place, &subjects).await.map_err(|error| explained(&error))?;
            tested.judged += page.judged;
            tested.images.extend(page.images);
        }
        Ok(tested)
    }

    /// How many could be pulled no more.
    pub fn count_newly_blocked(&self) -> usize {
        self.images.iter().filter(|image| image.is_newly_blocked()).count()
    }

    /// Fails where any could be pulled no more.
    pub fn require_nothing_blocked(&self) -> Result<(), Failure> {
        match self.count_newly_blocked() {
            0 => Ok(()),
            1 => Err(Failure::Blocks("an image that can be pulled now could be pulled no more".to_owned())),
            count => Err(Failure::Blocks(format!("{count} images that can be pulled now could be pulled no more"))),
        }
    }

    /// A row for each image, and a line that counts them.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        if !self.images.is_empty() {
            Table::new(["IMAGE", "NOW", "THEN", "WHY"]).write(out, self.images.iter().map(row).collect())?;
        }
        let images = if self.judged == 1 { "image" } else { "images" };
        writeln!(out, "{} {images} judged, {} newly blocked", self.judged, self.count_newly_blocked())
    }
}

fn row(image: &TestedImage) -> [String; 4] {
    let why: Vec<String> = image.reasons.iter().map(|found| format!("policy {:?}: {}", found.policy, found.reason)).collect();
    let why = if why.is_empty() { NOTHING.to_owned() } else { why.join("; ") };
    [image.reference.clone(), image.now.to_string(), image.then.to_string(), why]
}
