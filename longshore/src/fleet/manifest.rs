//! What a person asks for, in files: deployments, jobs and namespaces.

use std::{
    fmt,
    io::Read as _,
    path::{Path, PathBuf},
};

use longshore_fleet::{DeploymentSpec, Fault, Faults, JobSpec, Name, NamespaceSpec};
use serde_json::Value;

use super::{
    kind::Kind,
    yaml::{self, Document, MOST_BYTES, Mistake, Position},
};
use crate::failure::Failure;

/// The most documents that are read at once.
const MOST_DOCUMENTS: usize = 1_000;
/// What files of a folder are read.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// Where manifests come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// Whatever is written to us.
    Stdin,
    /// A file, or all files of a folder.
    Path(PathBuf),
}

impl From<String> for Source {
    fn from(text: String) -> Self {
        if text == "-" { Self::Stdin } else { Self::Path(text.into()) }
    }
}

/// What one document asks for.
#[derive(Debug)]
pub struct Manifest {
    /// Its place, and by that those of its fields.
    pub place: ManifestPlace,
    /// What it asks for.
    pub wish: Wish,
}

/// Where a manifest was read.
#[derive(Debug)]
pub struct ManifestPlace {
    /// The file, as it was named.
    pub file: String,
    /// Which document of it, from 1.
    pub number: usize,
    document: Document,
}

/// What is asked for.
#[derive(Debug)]
pub enum Wish {
    /// A deployment.
    Deployment(Box<DeploymentSpec>),
    /// A job.
    Job(Box<JobSpec>),
    /// A namespace.
    Namespace(Box<NamespaceSpec>),
}

impl Wish {
    /// Of which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Deployment(_) => Kind::Deployment,
            Self::Job(_) => Kind::Job,
            Self::Namespace(_) => Kind::Namespace,
        }
    }

    /// What it is called.
    pub fn name(&self) -> &Name {
        match self {
            Self::Deployment(spec) => &spec.upkeep.name,
            Self::Job(spec) => &spec.work.name,
            Self::Namespace(spec) => &spec.name,
        }
    }
}

impl ManifestPlace {
    /// What is wrong with a field of it, with where that is.
    pub fn fault(&self, fault: &Fault) -> String {
        let position = self.document.position(&fault.field);
        format!("{}:{position}: document {}: {fault}", self.file, self.number)
    }
}

impl fmt::Display for ManifestPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.document.start())
    }
}

/// Reads manifests. Every mistake of all of them is told at once, and nothing comes of any then. Those that name no namespace are in
/// `namespace`.
pub fn read(sources: &[Source], namespace: Option<&Name>) -> Result<Vec<Manifest>, Failure> {
    let mut manifests = Vec::new();
    let mut mistakes = Vec::new();
    for (file, text) in texts(sources)? {
        read_text(&file, &text, namespace, &mut manifests, &mut mistakes);
        if manifests.len() > MOST_DOCUMENTS {
            return Err(Failure::Usage(format!("there are more than {MOST_DOCUMENTS} documents; apply them in several parts")));
        }
    }
    if !mistakes.is_empty() {
        let count = if mistakes.len() == 1 { "a mistake".to_owned() } else { format!("{} mistakes", mistakes.len()) };
        return Err(Failure::Usage(format!("{count}, and nothing was done\n  {}", mistakes.join("\n  "))));
    }
    if manifests.is_empty() {
        return Err(Failure::Usage("there is no document in what was given".to_owned()));
    }
    Ok(manifests)
}

fn read_text(file: &str, text: &str, namespace: Option<&Name>, manifests: &mut Vec<Manifest>, mistakes: &mut Vec<String>) {
    for (number, document) in (1..).zip(yaml::read(text)) {
        let document = match document {
            Ok(document) => document,
            Err(Mistake { position, message }) => {
                let at = position.map(|position: Position| format!(":{position}")).unwrap_or_default();
                mistakes.push(format!("{file}{at}: document {number}: {message}"));
                continue;
            }
        };
        let value = document.value();
        let place = ManifestPlace { file: file.to_owned(), number, document };
        match wish(value, namespace) {
            Ok(wish) => manifests.push(Manifest { place, wish }),
            Err(faults) => mistakes.extend(faults.iter().map(|fault| place.fault(fault))),
        }
    }
}

/// What a document asks for, or each of its fields that is wrong.
fn wish(mut value: Value, namespace: Option<&Name>) -> Result<Wish, Vec<Fault>> {
    let fault = |field: &str, message: &str| vec![Fault { field: field.to_owned(), message: message.to_owned() }];
    let Some(fields) = value.as_object_mut() else {
        return Err(fault("", "is no object with a kind and fields"));
    };
    if fields.contains_key("apiVersion") && fields.contains_key("spec") {
        let message =
            "is Kubernetes' form; here the fields of a spec stand beside kind and name (`longshore get -o yaml` shows how)";
        return Err(fault("apiVersion", message));
    }
    let kind = match fields.remove("kind") {
        Some(Value::String(kind)) => kind,
        Some(_) => return Err(fault("kind", "is one of Deployment, Job and Namespace")),
        None => return Err(fault("kind", "is required: Deployment, Job or Namespace")),
    };
    let told = |faults: Faults| faults.iter().cloned().collect::<Vec<_>>();
    if let (Some(namespace), false) = (namespace, kind.eq_ignore_ascii_case("namespace")) {
        fields.entry("namespace").or_insert_with(|| namespace.as_str().into());
    }
    match kind.to_ascii_lowercase().as_str() {
        "deployment" => DeploymentSpec::read(value).map(|spec| Wish::Deployment(Box::new(spec))).map_err(told),
        "job" => JobSpec::read(value).map(|spec| Wish::Job(Box::new(spec))).map_err(told),
        "namespace" => NamespaceSpec::read(value).map(|spec| Wish::Namespace(Box::new(spec))).map_err(told),
        _ => Err(fault("kind", &format!("is {kind:?}; there are Deployment, Job and Namespace"))),
    }
}

/// Each file and its text.
fn texts(sources: &[Source]) -> Result<Vec<(String, String)>, Failure> {
    let mut texts = Vec::new();
    for source in sources {
        match source {
            Source::Stdin => texts.push(("(stdin)".to_owned(), bounded(std::io::stdin(), "(stdin)")?)),
            Source::Path(path) if path.is_dir() => {
                for file in files(path)? {
                    texts.push(open(&file)?);
                }
            }
            Source::Path(path) => texts.push(open(path)?),
        }
    }
    Ok(texts)
}

fn open(path: &Path) -> Result<(String, String), Failure> {
    let name = path.display().to_string();
    let file = std::fs::File::open(path).map_err(|error| Failure::Usage(format!("{name} can't be read: {error}")))?;
    let text = bounded(file, &name)?;
    Ok((name, text))
}

fn bounded(reader: impl std::io::Read, name: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    // One byte more than is taken shows that there is more.
    let limit = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let read = reader.take(limit).read_to_end(&mut bytes);
    read.map_err(|error| Failure::Usage(format!("{name} can't be read: {error}")))?;
    // Before it is looked at as text: where it is cut, a sign may be, too.
    if bytes.len() > MOST_BYTES {
        return Err(Failure::Usage(format!("{name} is longer than {} MiB; cut it into several files", MOST_BYTES >> 20)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::Usage(format!("{name} can't be read: byte {at} of it is not UTF-8"))
    })
}

/// The files of a folder that are manifests, by name; those of folders in it are not read.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error| Failure::Usage(format!("{} can't be read: {error}", folder.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_manifest = path.extension().and_then(|extension| extension.to_str()).is_some_and(|it| EXTENSIONS.contains(&it));
        if is_manifest && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Failure::Usage(format!("{} has no file that ends with .yaml, .yml or .json", folder.display())));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_from(text: &str, namespace: Option<&str>) -> Result<Vec<Manifest>, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.yaml");
        std::fs::write(&file, text).expect("it can be written");
        let namespace = namespace.map(|name| name.parse().expect("a name"));
        read(&[Source::Path(file)], namespace.as_ref())
            .map_err(|failure| failure.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    #[test]
    fn many_documents_of_all_kinds_are_read() {
        let text = "kind: Namespace\nname: team\n---\nkind: deployment\nname: hello\nimage: localhost:5000/hello:1\n---\n{\"kind\": \
                    \"Job\", \"name\": \"once\", \"namespace\": \"other\", \"image\": \"localhost:5000/hello:1\"}\n";
        let manifests = read_from(text, Some("team")).expect("they are right");
        let told: Vec<_> =
            manifests.iter().map(|manifest| format!("{} {}", manifest.wish.kind(), manifest.wish.name())).collect();
        assert_eq!(told, ["namespace team", "deployment hello", "job once"]);
        let Wish::Deployment(spec) = &manifests[1].wish else { panic!("it is a deployment") };
        assert_eq!(spec.upkeep.namespace.as_str(), "team", "it named none");
        let Wish::Job(spec) = &manifests[2].wish else { panic!("it is a job") };
        assert_eq!(spec.work.namespace.as_str(), "other");
    }

    #[test]
    fn every_wrong_field_of_every_document_is_named_with_its_place() {
        let text = "kind: Deployment\nname: Hello\nimage: localhost:5000/hello:1\nreplicass: 3\nresources:\n  requests:\n    cpu: 2x\n---\n\
                    kind: Job\nname: once\n---\nkind: Pod\nname: p\n---\nname: q\n---\njust words\n";
        let told = read_from(text, None).expect_err("there are mistakes");
        let expected = [
            "nothing was done",
            "a.yaml:2:1: document 1: name: a name has",
            "a.yaml:4:1: document 1: replicass: is no field; replicas is meant?",
            "a.yaml:7:5: document 1: resources.requests.cpu: a quantity's suffix",
            "a.yaml:9:1: document 2: image: is required",
            "a.yaml:12:1: document 3: kind: is \"Pod\"",
            "a.yaml:15:1: document 4: kind: is required",
            "a.yaml:17:1: document 5: is no object",
        ];
        for words in expected {
            assert!(told.contains(words), "{words}\n{told}");
        }
        assert!(told.starts_with("7 mistakes"), "{told}");
    }

    #[test]
    fn what_the_guide_shows_can_be_read() {
        let guide = include_str!("../../../docs/fleet.md");
        let (_, rest) = guide.split_once("```yaml\n").expect("it has an example");
        let manifests = read_from(rest.split("```").next().expect("it ends"), None).expect("it is right");
        assert_eq!(
            manifests.iter().map(|manifest| manifest.wish.kind()).collect::<Vec<_>>(),
            [Kind::Namespace, Kind::Deployment]
        );
    }

    #[test]
    fn what_is_written_for_kubernetes_is_told_so() {
        let told = read_from("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: 1}\n", None);
        assert!(told.expect_err("another form").contains("a.yaml:1:1: document 1: apiVersion: is Kubernetes' form"));
    }

    #[test]
    fn broken_syntax_is_named_with_its_place() {
        let told = read_from("kind: Job\nname: [a\nimage: b\n", None).expect_err("a mistake");
        assert!(told.contains("a.yaml:") && told.contains("document 1"), "{told}");
    }

    #[test]
    fn what_is_too_long_is_told_so_wherever_it_is_cut() {
        let mut text = "# ".to_owned() + &"é".repeat(MOST_BYTES / 2 - 1);
        assert_eq!(text.len(), MOST_BYTES);
        assert!(bounded(text.as_bytes(), "a.yaml").is_ok());
        text.insert(0, '#');
        let told = bounded(text.as_bytes(), "a.yaml").expect_err("it is too long").to_string();
        assert_eq!(told, "a.yaml is longer than 8 MiB; cut it into several files");
        let told = bounded(&b"ab\xff"[..], "a.yaml").expect_err("it is no text").to_string();
        assert_eq!(told, "a.yaml can't be read: byte 2 of it is not UTF-8");
    }

    #[test]
    fn a_folder_s_files_are_read_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, kind) in [("b.yml", "b"), ("a.yaml", "a"), ("c.json", "c"), ("notes.txt", "d")] {
            let text = format!("{{kind: Namespace, name: {kind}}}\n");
            std::fs::write(folder.path().join(name), text).expect("it can be written");
        }
        let manifests = read(&[Source::Path(folder.path().to_owned())], None).expect("they are right");
        assert_eq!(manifests.iter().map(|manifest| manifest.wish.name().as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        let empty = tempfile::tempdir().expect("a folder");
        assert!(read(&[Source::Path(empty.path().to_owned())], None).is_err());
        assert!(read(&[Source::Path(empty.path().join("none"))], None).is_err());
    }
}
