/// What help says of how a daemon's configuration is set.
pub struct ConfigHelp {
    /// The daemon's noun: `registry`.
    pub daemon: &'static str,
    /// A section and a key of it, by which the places are shown.
    pub example: (&'static str, &'static str),
    /// Whether there is a list of upstreams, without which nothing can be shown.
    pub has_upstreams: bool,
    /// The name of a secret's file.
    pub secret_file: &'static str,
}

impl ConfigHelp {
    /// With what a verb that reads the configuration can end with.
    pub fn with(&self, exit_codes: &str) -> String {
        let Self { daemon, example: (section, key), has_upstreams, secret_file } = self;
        let variable = |path: &str| format!("LONGSHORE_{daemon}__{path}").to_uppercase();
        let needs = if *has_upstreams { " --upstream.0.url https://registry.example.org" } else { "" };
        let names = if *has_upstreams {
            format!(
                "The name is always the section and the key. There may be several [[upstream]]; the environment and flags name one by its
  position, from 0: {}, --upstream.0.url. In the environment and in flags a list is separated
  by commas. A secret can be in a file instead, which the name with _file at its end names: {secret_file}.",
                variable("upstream__0__url")
            )
        } else {
            format!(
                "The name is always the section and the key. In the environment and in flags a list is separated by commas. A secret can be
  in a file instead, which the name with _file at its end names: {secret_file}."
            )
        };
        format!(
            "Configuration:
  Every value can be set in four places, and a later one replaces an earlier one's:

    default      see `longshore {daemon} config show{needs}`
    file         {key} = \"x\" under [{section}], in the TOML file of --config
    environment  {}=x
    flag         --{section}.{key} x, or --{section}.{key}=x

  {names}

{exit_codes}",
            variable(&format!("{section}__{key}"))
        )
    }
}
