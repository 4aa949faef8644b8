//! Whom to ask for an image.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use longshore_client::{ClientError, ClientOptions, Credentials, PullClient, Reach, RegistryUrl, is_same_port_here};
use longshore_fleet::Image;

use super::ImageError;
use crate::config::{OtherRegistries, Registry};

/// How long to wait for a connection to a registry.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How many registries' connections are kept.
const MOST_REGISTRIES: usize = 64;

/// Those who ask registries: one for ours, and one for each of others.
#[derive(Debug)]
pub(super) struct Clients {
    own: PullClient,
    hosts: Vec<String>,
    others: OtherRegistries,
    /// Where images of others are asked for: strangers name them.
    reach: Reach,
    known: Mutex<HashMap<String, PullClient>>,
}

impl Clients {
    /// Those of a configuration. Reads the files of certificates, so this blocks.
    pub(super) fn new(config: &Registry) -> Result<Self, ClientError> {
        let own = PullClient::new(own_options(config), Vec::new())?;
        let url = own.registry().clone();
        let hosts = if config.hosts.is_empty() { vec![url.authority().to_owned()] } else { config.hosts.clone() };
        let reach = Reach::Public { besides: config.private_hosts.clone().into() };
        Ok(Self { own, hosts, others: config.others, reach, known: Mutex::default() })
    }

    /// Our registry's.
    pub(super) fn own(&self) -> &PullClient {
        &self.own
    }

    /// Whom to ask for an image.
    pub(super) async fn of(&self, image: &Image) -> Result<PullClient, ImageError> {
        let host = &image.registry;
        if self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host) || is_same_port_here(own, host)) {
            return Ok(self.own.clone());
        }
        if self.others == OtherRegistries::Refused {
            let reason = format!("only images of {} run here (registry.others)", self.hosts.join(", "));
            return Err(ImageError::NotAllowed { image: image.clone(), reason });
        }
        if let Some(client) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(host) {
            return Ok(client.clone());
        }
        let unusable = |reason: String| ImageError::Unusable { image: image.clone(), reason };
        let url = RegistryUrl::parse(host, false).map_err(|error| unusable(error.to_string()))?.api();
        let options = ClientOptions { connect_timeout: CONNECT_TIMEOUT, reach: self.reach.clone(), ..ClientOptions::new(url) };
        let built = tokio::task::spawn_blocking(move || PullClient::new(options, Vec::new())).await;
        let client = built.map_err(|error| unusable(error.to_string()))?.map_err(|error| ImageError::of(image, &error))?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_REGISTRIES {
            known.clear();
        }
        known.insert(host.clone(), client.clone());
        Ok(client)
    }
}

fn own_options(config: &Registry) -> ClientOptions {
    let url = RegistryUrl::parse(config.url.as_str(), config.allow_plain_http);
    let url = url.unwrap_or_else(|error| unreachable!("{error}: the configuration takes a server's URL alone"));
    let credentials = (!config.username.is_empty())
        .then(|| Credentials::Basic { username: config.username.clone(), password: config.password.reveal().to_owned() });
    ClientOptions {
        credentials,
        ca_file: config.ca_file.clone(),
        allow_plain_http: config.allow_plain_http,
        connect_timeout: CONNECT_TIMEOUT,
        read_timeout: config.timeout.get(),
        ..ClientOptions::new(url.api())
    }
}
