//! containerd's `config.toml`, as far as it says where CRI looks for `hosts.toml` (containerd, `docs/cri/registry.md`).

use std::path::PathBuf;

use toml::de::{DeTable, DeValue};

use super::{
    block::{self, Mark},
    toml_text::{TextError, TomlText, quoted},
};

/// The plugin that has it, newest first: since containerd 2, in version 2 of the file, and in version 1.
const PLUGINS: [&str; 3] = ["io.containerd.cri.v1.images", "io.containerd.grpc.v1.cri", "cri"];
const KEY: &str = "config_path";

/// What the file says of it.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum ConfigPath {
    /// The folders that are looked into, in this order.
    Set(Vec<PathBuf>),
    /// Nothing.
    Missing,
    /// Mirrors of the form that rules it out.
    OldMirrors,
}

/// Reads it. A file that is not there is an empty text.
pub(super) fn config_path(text: &str) -> Result<ConfigPath, TextError> {
    let toml = TomlText::parse(text)?;
    let registries = || PLUGINS.iter().filter_map(|plugin| registry_of(toml.root(), plugin)?.as_table());
    let set = registries().filter_map(|registry| registry.get(KEY)?.get_ref().as_str()).find(|paths| !paths.is_empty());
    if let Some(paths) = set {
        return Ok(ConfigPath::Set(paths.split(':').filter(|path| !path.is_empty()).map(PathBuf::from).collect()));
    }
    let is_old = |registry: &DeTable| {
        let table = |key: &str| registry.get(key).and_then(|value| value.get_ref().as_table());
        let has_tls = |configs: &DeTable| configs.iter().any(|(_, config)| config.get_ref().get("tls").is_some());
        table("mirrors").is_some_and(|mirrors| !mirrors.is_empty()) || table("configs").is_some_and(has_tls)
    };
    Ok(if registries().any(is_old) { ConfigPath::OldMirrors } else { ConfigPath::Missing })
}

/// The lines that a file lacks.
pub(super) fn lacking(text: &str, folders: &str) -> Result<String, TextError> {
    let toml = TomlText::parse(text)?;
    let version = if toml.root().is_empty() { "version = 2\n" } else { "" };
    Ok(format!("{version}[plugins.{}.registry]\n{KEY} = {}\n", quoted(plugin(&toml)), quoted(folders)))
}

/// The text with it. The mark says that it is ours.
pub(super) fn with_config_path(text: &str, mark: &Mark, folders: &str) -> Result<String, TextError> {
    let form =
        || TextError::Form("its CRI plugin's registry is written inline; write it as a table, or set config_path there yourself");
    let toml = TomlText::parse(text)?;
    let table = toml.root().get("plugins").and_then(|plugins| plugins.get_ref().get(plugin(&toml))?.get_ref().get("registry"));
    let line = format!("{KEY} = {}\n", quoted(folders));
    let written = match table.filter(|table| toml.has_header(table)) {
        None => block::put(text, text.len()..text.len(), mark, &lacking(text, folders)?),
        Some(table) => match table.get_ref().get(KEY) {
            None => {
                let at = toml.line_at(table.span().end).end;
                block::put(text, at..at, mark, &line)
            }
            Some(value) => {
                let range = toml.line_at(value.span().start);
                if !text[range.clone()].trim_start().starts_with(KEY) || range.end < value.span().end {
                    return Err(form());
                }
                block::put(text, range, mark, &line)
            }
        },
    };
    match config_path(&written) {
        Ok(ConfigPath::Set(_)) => Ok(written),
        _ => Err(form()),
    }
}

/// The plugin that has it by the file's version. A file without one is of version 1, but for one that is still to be written.
fn plugin(toml: &TomlText<'_>) -> &'static str {
    let version = toml.root().get("version").and_then(|value| value.get_ref().as_integer()?.as_str().parse::<u32>().ok());
    match version {
        Some(3..) => PLUGINS[0],
        Some(2) => PLUGINS[1],
        None if toml.root().is_empty() => PLUGINS[1],
        _ => PLUGINS[2],
    }
}

fn registry_of<'a, 't>(root: &'a DeTable<'t>, plugin: &str) -> Option<&'a DeValue<'t>> {
    Some(root.get("plugins")?.get_ref().get(plugin)?.get_ref().get("registry")?.get_ref())
}

#[cfg(test)]
mod tests {
    use super::{super::block::Made, *};

    const FOLDERS: &str = "/etc/containerd/certs.d:/etc/docker/certs.d";

    #[test]
    fn it_is_read_in_each_version() {
        let is = |text: &str, expected: ConfigPath| assert_eq!(config_path(text).unwrap(), expected, "{text}");
        let set = |path: &str| ConfigPath::Set(vec![path.into()]);
        is("version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/a'", set("/a"));
        is("version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = '/a:'", set("/a"));
        is("[plugins.cri]\nregistry = { config_path = '/a' }", set("/a"));
        is(&format!("[plugins.cri.registry]\nconfig_path = '{FOLDERS}'"), {
            ConfigPath::Set(FOLDERS.split(':').map(PathBuf::from).collect())
        });
        is("", ConfigPath::Missing);
        is("[plugins.cri.registry]\nconfig_path = ''", ConfigPath::Missing);
        is("[plugins.cri.registry.mirrors]", ConfigPath::Missing);
        is("[plugins.cri.registry.configs.a.auth]\nx = 1", ConfigPath::Missing);
        is("[plugins.cri.registry.mirrors.a]\nendpoint = []", ConfigPath::OldMirrors);
        is("[plugins.cri.registry.configs.a.tls]\nx = 1", ConfigPath::OldMirrors);
        assert!(config_path("[").is_err());
    }

    #[test]
    fn it_is_set_in_each_form_and_taken_back() {
        let mark = Mark { subject: "config_path".to_owned(), mirror: "-".to_owned(), made: Made::default() };
        for (text, plugin) in [
            ("", PLUGINS[1]),
            ("# nothing yet", PLUGINS[1]),
            ("version = 3", PLUGINS[0]),
            ("version = 2\n[plugins]\n  [plugins.\"io.containerd.grpc.v1.cri\"]\n    a = 1\n", PLUGINS[1]),
            ("version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  # none yet\n[plugins.x]\n", PLUGINS[1]),
            (
                "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  config_path = \"\" # none\n  [plugins.x]\n",
                PLUGINS[1],
            ),
            ("version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = ''", PLUGINS[0]),
            ("version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry.configs.a.auth]\nx = 1\n", PLUGINS[1]),
            ("[plugins.cri]\n", PLUGINS[2]),
        ] {
            let written = with_config_path(text, &mark, FOLDERS).unwrap();
            let read: toml::Table = written.parse().unwrap();
            assert_eq!(read["plugins"][plugin]["registry"][KEY].as_str(), Some(FOLDERS), "{written}");
            assert_eq!(block::take_out(&written, &block::find(&written).unwrap()[0]).as_deref(), Some(text));
        }
        for text in ["[plugins.cri]\nregistry = { config_path = '' }", "[plugins.cri]\nregistry.config_path = ''"] {
            assert!(matches!(with_config_path(text, &mark, FOLDERS), Err(TextError::Form(_))), "{text}");
        }
    }
}
