//! `registries.conf` and its drop-ins, which CRI-O, podman, buildah and skopeo read (containers-registries.conf(5)).

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    MirrorUrl, Registry,
    block::{self, Mark},
    toml_text::{TextError, TomlText, quoted},
};

const INLINE: &str =
    "its registries are written inline; write each as a table, [[registry]], and its mirrors as [[registry.mirror]]";

/// How the tables of a file have to do with a registry.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Tables {
    /// Whether one is for just this registry.
    pub has_own: bool,
    /// The prefix of one that is for it among others.
    pub covered_by: Option<String>,
    /// Whether that for just this registry forbids to pull from it.
    pub is_blocked: bool,
    /// Whether it has mirrors asked for digests alone.
    pub is_digests_only: bool,
}

/// Finds them.
pub(super) fn tables(text: &str, registry: &Registry) -> Result<Tables, TextError> {
    let toml = TomlText::parse(text)?;
    let mut found = Tables::default();
    for (prefix, table) in all(&toml)? {
        let is_set = |key: &str| table.get_ref().get(key).and_then(|value| value.get_ref().as_bool()) == Some(true);
        let is_wildcard_of =
            |host: &str| prefix.strip_prefix('*').is_some_and(|suffix| suffix.starts_with('.') && host.ends_with(suffix));
        if prefix == registry.host() {
            // Of several in a file the first counts.
            if !found.has_own {
                (found.is_blocked, found.is_digests_only) = (is_set("blocked"), is_set("mirror-by-digest-only"));
            }
            found.has_own = true;
        } else if prefix == registry.host_alone() || is_wildcard_of(registry.host()) || is_wildcard_of(registry.host_alone()) {
            found.covered_by = Some(prefix.to_owned());
        }
    }
    Ok(found)
}

/// The text with the mirror ahead of others of the registry, in the registry's table where it has one, since a table in a file of
/// its own would take the place of that one as a whole. `None` where another wrote it.
///
/// These clients do not say which registry they mean, so it is in the mirror's path.
pub(super) fn with_mirror(text: &str, mark: &Mark, registry: &Registry, mirror: &MirrorUrl) -> Result<Option<String>, TextError> {
    let toml = TomlText::parse(text)?;
    let location = format!("{}/{}", mirror.authority(), registry.name());
    let plain = |is_plain: bool| if is_plain { "insecure = true\n" } else { "" };
    let lines = format!("[[registry.mirror]]\nlocation = {}\n{}", quoted(&location), plain(mirror.is_plain()));
    // Of several in a file the first counts.
    let own = all(&toml)?.into_iter().find(|(prefix, _)| *prefix == registry.host());
    let (at, lines) = match own {
        None => {
            let host = quoted(registry.host());
            let own = format!("[[registry]]\nprefix = {host}\nlocation = {host}\n{}", plain(registry.is_plain()));
            (text.len(), own + &lines)
        }
        Some((_, table)) => {
            let Some(at) = place(&toml, table, &location)? else { return Ok(None) };
            (at, lines)
        }
    };
    let written = block::put(text, at..at, mark, &lines);
    TomlText::parse(&written).map_err(|_| TextError::Form(INLINE))?;
    Ok(Some(written))
}

/// The registries' tables, each with the prefix of what it is for.
fn all<'a>(toml: &'a TomlText<'_>) -> Result<Vec<(&'a str, &'a Spanned<DeValue<'a>>)>, TextError> {
    let Some(registries) = toml.root().get("registry") else { return Ok(Vec::new()) };
    let registries = registries.get_ref().as_array().ok_or(TextError::Form(INLINE))?;
    let mut all = Vec::new();
    for table in registries {
        if !toml.has_header(table) {
            return Err(TextError::Form(INLINE));
        }
        let text = |key: &str| {
            table.get_ref().get(key).and_then(|value| value.get_ref().as_str()).map(|text| text.trim_end_matches('/'))
        };
        all.extend(text("prefix").filter(|prefix| !prefix.is_empty()).or_else(|| text("location")).map(|prefix| (prefix, table)));
    }
    Ok(all)
}

/// Where in a registry's table the first mirror goes; `None` where the mirror at this location is there.
fn place(toml: &TomlText<'_>, table: &Spanned<DeValue<'_>>, location: &str) -> Result<Option<usize>, TextError> {
    let values = table.get_ref().as_table().into_iter().flatten();
    let Some(mirrors) = table.get_ref().get("mirror") else {
        let end = values.map(|(_, value)| value.span().end).fold(table.span().end, usize::max);
        return Ok(Some(toml.line_at(end).end));
    };
    let mirrors = mirrors.get_ref().as_array().ok_or(TextError::Form(INLINE))?;
    let is_it = |mirror: &DeTable| mirror.get("location").and_then(|value| value.get_ref().as_str()) == Some(location);
    if mirrors.iter().filter_map(|mirror| mirror.get_ref().as_table()).any(is_it) {
        return Ok(None);
    }
    let first = mirrors.iter().next().filter(|mirror| toml.has_header(mirror)).ok_or(TextError::Form(INLINE))?;
    Ok(Some(toml.above(first.span().start)))
}

#[cfg(test)]
mod tests {
    use super::{super::block::Made, *};

    fn written(text: &str, registry: &str) -> Result<Option<String>, TextError> {
        let mark = Mark { subject: registry.to_owned(), mirror: "http://127.0.0.1:5200".to_owned(), made: Made::default() };
        with_mirror(text, &mark, &registry.parse().unwrap(), &"http://127.0.0.1:5200".parse().unwrap())
    }

    /// The locations of a registry's mirrors, in order.
    fn mirrors(text: &str, position: usize) -> Vec<String> {
        let read: toml::Table = text.parse().unwrap();
        let mirrors = read["registry"][position]["mirror"].as_array().unwrap();
        mirrors.iter().map(|mirror| mirror["location"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_registry_gets_a_table_or_its_own_gets_a_mirror() {
        let fresh = written("", "http://localhost:5000").unwrap().unwrap();
        let read: toml::Table = fresh.parse().unwrap();
        assert_eq!(read["registry"][0]["prefix"].as_str(), Some("localhost:5000"));
        assert_eq!(read["registry"][0]["insecure"].as_bool(), Some(true));
        assert_eq!(mirrors(&fresh, 0), ["127.0.0.1:5200/localhost_5000"]);

        let theirs = "[[registry]]\nlocation = \"a.example\"\n\n[[registry]] # hub\nprefix = \"docker.io\"\nlocation = \"docker.io\"\n\
                      # ours\n[[registry.mirror]]\nlocation = \"m.example\"\n[[registry]]\nlocation = \"b.example/\"";
        let with = written(theirs, "docker.io").unwrap().unwrap();
        assert_eq!(mirrors(&with, 1), ["127.0.0.1:5200/docker.io", "m.example"]);
        assert!(with.contains("# longshore: end\n# ours\n"), "{with}");
        for (registry, position) in [("a.example", 0), ("b.example", 2)] {
            let with = written(theirs, registry).unwrap().unwrap();
            assert_eq!(mirrors(&with, position), [format!("127.0.0.1:5200/{registry}")]);
            assert_eq!(block::take_out(&with, &block::find(&with).unwrap()[0]).as_deref(), Some(theirs));
            assert_eq!(with.parse::<toml::Table>().unwrap()["registry"].as_array().unwrap().len(), 3);
        }
        assert_eq!(written(&theirs.replace("m.example", "127.0.0.1:5200/docker.io"), "docker.io").unwrap(), None);
    }

    #[test]
    fn what_is_written_inline_is_left_alone() {
        for text in
            ["registry = [{ location = \"docker.io\" }]", "registry = 1", "[[registry]]\nlocation = \"docker.io\"\nmirror = []"]
        {
            assert!(matches!(written(text, "docker.io"), Err(TextError::Form(_))), "{text}");
        }
        assert!(matches!(written("[[registry]", "docker.io"), Err(TextError::Malformed(_))));
    }

    #[test]
    fn a_table_for_several_is_told_from_one_of_its_own() {
        let found = |text: &str, registry: &str| tables(text, &registry.parse().unwrap()).unwrap();
        let text = "[[registry]]\nprefix = \"*.example\"\nblocked = true\n[[registry]]\nlocation = \"docker.io/\"\n\
                    [[registry]]\nlocation = \"h\"\n";
        assert_eq!(found(text, "docker.io"), Tables { has_own: true, ..Tables::default() });
        for covered in ["a.example", "a.b.example:5000"] {
            assert_eq!(found(text, covered), Tables { covered_by: Some("*.example".to_owned()), ..Tables::default() });
        }
        assert_eq!(found(text, "h:5000").covered_by.as_deref(), Some("h"));
        assert_eq!(found(text, "example"), Tables::default());
        assert_eq!(found(text, "aexample"), Tables::default());
    }
}
