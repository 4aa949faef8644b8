//! What a cache is told by plain flags, without a file.

use std::path::PathBuf;

use clap::Args;

/// The flags that an edge and a node have alike.
#[derive(Args)]
pub struct FirstTryArguments {
    /// For a first try: the folder that keeps everything; it is made if need be
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data: Option<PathBuf>,
    /// For a first try: a registry to speak for; can be given more than once, and the first is asked where a request names none
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    upstream: Vec<String>,
}

impl FirstTryArguments {
    /// Whether it is one, so that whoever tries is told what to do next.
    pub fn is_first_try(&self) -> bool {
        !self.upstream.is_empty()
    }

    /// What they set, as path and value.
    pub fn settings(&self) -> impl Iterator<Item = (String, String)> + use<> {
        let data = self.data.as_ref().map(|folder| ("cache.folder".to_owned(), folder.display().to_string()));
        let upstreams = self.upstream.clone().into_iter().enumerate();
        data.into_iter().chain(upstreams.map(|(position, url)| (format!("upstream.{position}.url"), url)))
    }
}
