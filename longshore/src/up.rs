use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use clap::Args;
use longshore_registry::Config;
use longshore_service::telemetry::Filter;

use crate::{
    daemon::{self, Telling},
    failure::Failure,
};

/// `longshore up`.
#[derive(Args)]
pub struct UpArguments {
    /// The folder that keeps everything; it is made if need be
    #[arg(long, value_name = "DIR", default_value = "./data")]
    data: PathBuf,
    /// Where the registry listens; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5000")]
    listen: SocketAddr,
    /// Where health and metrics are, or `off`
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5001")]
    admin_listen: AdminListen,
    /// Let other machines in without TLS, where --listen or --admin-listen is an address that they can reach
    #[arg(long)]
    allow_plain_http: bool,
    /// Ask callers who they are; the administrator's password is shown once, at the first start
    #[arg(long)]
    auth: bool,
    /// Let other machines in without asking who calls, where --listen is an address that they can reach
    #[arg(long)]
    allow_unauthenticated: bool,
    /// What to log: a level, or target=level, separated by commas
    #[arg(long, value_name = "FILTER", default_value = "warn,longshore_service::shutdown=info")]
    log: Filter,
}

/// The admin listener's address; `None` is written `off`.
#[derive(Clone, Copy, Debug)]
struct AdminListen(Option<SocketAddr>);

impl FromStr for AdminListen {
    type Err = InvalidAdminListen;

    fn from_str(text: &str) -> Result<Self, InvalidAdminListen> {
        if text == "off" {
            Ok(Self(None))
        } else {
            text.parse().map(|address| Self(Some(address))).map_err(|_| InvalidAdminListen)
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct InvalidAdminListen;

impl fmt::Display for InvalidAdminListen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("expected an IP address and a port, such as 127.0.0.1:5001, or off")
    }
}

impl std::error::Error for InvalidAdminListen {}

impl UpArguments {
    pub async fn run(self) -> Result<(), Failure> {
        self.check_reach()?;
        let mut config = Config::embedded(&self.data, self.listen);
        config.listen.admin_address = self.admin_listen.0;
        config.listen.allow_plain_http = self.allow_plain_http;
        config.listen.allow_unauthenticated = self.allow_unauthenticated;
        config.auth.enabled = self.auth;
        config.log.filter = self.log;
        let data = self.data.display().to_string();
        let telling = Telling {
            reindex_command: format!("longshore registry reindex --data {data}"),
            data,
            shows_first_steps: true,
            on_taken_address: "another program has this port, perhaps another `longshore up`: stop that one, or take other \
                               ports, with --listen 127.0.0.1:5050 or --admin-listen 127.0.0.1:5051",
        };
        daemon::run(config, telling).await
    }

    fn check_reach(&self) -> Result<(), Failure> {
        let is_reachable = |address: &SocketAddr| !address.ip().to_canonical().is_loopback();
        let mut addresses = [Some(self.listen), self.admin_listen.0].into_iter().flatten();
        if let Some(address) = addresses.find(is_reachable).filter(|_| !self.allow_plain_http) {
            return Err(Failure::Usage(format!(
                "other machines can reach {address}, and `longshore up` serves plain HTTP: add --allow-plain-http if they \
                 may, or use `longshore registry serve` with a certificate"
            )));
        }
        if is_reachable(&self.listen) && !self.auth && !self.allow_unauthenticated {
            let address = self.listen;
            return Err(Failure::Usage(format!(
                "other machines can reach {address}, and whoever does may do everything: add --auth, or \
                 --allow-unauthenticated if they may"
            )));
        }
        Ok(())
    }
}
