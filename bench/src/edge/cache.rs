//! The caches that are compared, and how each is set up.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::case::EdgeCase;
use crate::candidate::Candidate;
use crate::candidate::configuration::{make, written};
use crate::candidate::entrant::{Entrant, LONGSHORE, Program};
use crate::candidate::process::free_address;
use crate::error::BenchError;

/// Ours without a tier in memory: every hit is read from the disk, and checked, again.
pub const FROM_DISK: &str = "longshore-disk";
/// nginx in front of a registry.
pub const NGINX: &str = "nginx";
/// nginx over the same bytes as plain files: no cache, but a floor for what serving them costs.
const NGINX_FILES: &str = "nginx-files";
/// The folder of those.
const FILES: &str = "files";

const MIB: u64 = 1024 * 1024;
/// What ours may keep in memory: its default.
const MEMORY_MIB: u64 = 256;
/// What bytes on their way may take of memory beside that: likewise.
const IN_FLIGHT_MIB: u64 = 256;

/// Whether a name in the report is of one of ours.
pub fn is_ours(name: &str) -> bool {
    [LONGSHORE, FROM_DISK].contains(&name)
}

/// What one of ours may take of memory for bytes, by its settings.
pub fn budget_bytes(name: &str) -> u64 {
    (IN_FLIGHT_MIB + if name == FROM_DISK { 0 } else { MEMORY_MIB }) * MIB
}

/// A cache, or the floor, before it runs.
#[derive(Debug)]
pub struct Cache {
    /// Its name in the report.
    pub name: &'static str,
    how: How,
}

/// What it is.
#[derive(Debug)]
enum How {
    Longshore(PathBuf, u64),
    Distribution(PathBuf),
    Nginx(PathBuf),
    Files(PathBuf),
}

/// Those of the entrants that can be a cache, as they take part in a case.
pub fn caches(entrants: &[Entrant], case: EdgeCase) -> Vec<Cache> {
    let mut caches = Vec::new();
    let mut add = |name, how| caches.push(Cache { name, how });
    for entrant in entrants {
        match &entrant.program {
            Program::Longshore(program) => {
                add(LONGSHORE, How::Longshore(program.clone(), MEMORY_MIB));
                if case.is_warm() {
                    add(FROM_DISK, How::Longshore(program.clone(), 0));
                }
            }
            Program::Distribution(program) if entrant.name == "distribution" => {
                add("distribution", How::Distribution(program.clone()));
            }
            Program::Nginx(program) => {
                add(NGINX, How::Nginx(program.clone()));
                if case.is_warm() {
                    add(NGINX_FILES, How::Files(program.clone()));
                }
            }
            Program::Distribution(_) | Program::Running(_) => {}
        }
    }
    caches
}

impl Cache {
    /// Starts it, empty, in front of a registry, and waits until it answers.
    pub async fn start(&self, folder: &Path, upstream: SocketAddr) -> Result<Candidate, BenchError> {
        let folder = folder.join(self.name);
        make(&folder)?;
        let address = free_address()?;
        let mut candidate = Candidate::spawn(self.name, self.command(&folder, address, upstream)?, &folder, address).await?;
        candidate.files = matches!(self.how, How::Files(_)).then(|| folder.join(FILES));
        Ok(candidate)
    }

    fn command(&self, folder: &Path, address: SocketAddr, upstream: SocketAddr) -> Result<Command, BenchError> {
        let mut command;
        match &self.how {
            How::Longshore(program, memory_mib) => {
                command = Command::new(program);
                let config = written(folder, "edge.toml", &longshore(folder, address, upstream, *memory_mib))?;
                command.args(["edge", "serve", "--config"]).arg(config);
            }
            How::Distribution(program) => {
                command = Command::new(program);
                command.arg("serve").arg(written(folder, "config.yml", &distribution(folder, address, upstream))?);
            }
            How::Nginx(program) => {
                command = Command::new(program);
                let config = written(folder, "nginx.conf", &nginx(&cached(folder, address, upstream)))?;
                command.arg("-p").arg(folder).arg("-c").arg(config);
            }
            How::Files(program) => {
                command = Command::new(program);
                let config = written(folder, "nginx.conf", &nginx(&plain(folder, address)))?;
                command.arg("-p").arg(folder).arg("-c").arg(config);
            }
        }
        Ok(command)
    }
}

/// Defaults, but for the tier in memory, and that nothing is fetched before it is asked for: what is cold is to be so.
fn longshore(folder: &Path, address: SocketAddr, upstream: SocketAddr, memory_mib: u64) -> String {
    format!(
        "[listen]\naddress = \"{address}\"\nadmin_address = \"off\"\n\
         [cache]\nfolder = \"{}\"\nmemory = \"{memory_mib}MiB\"\nin_flight = \"{IN_FLIGHT_MIB}MiB\"\n\
         prefetch = false\n\
         [[upstream]]\nurl = \"http://{upstream}\"\n",
        folder.join("cache").display()
    )
}

fn distribution(folder: &Path, address: SocketAddr, upstream: SocketAddr) -> String {
    format!(
        "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  cache:\n    blobdescriptor: inmemory\n\
         \x20 filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\nproxy:\n  remoteurl: http://{upstream}\n",
        folder.join("data").display()
    )
}

/// A worker a processor, each with a queue of connections of its own. Without `tcp_nopush`, which holds the end of a body that comes
/// from an upstream back for 40 ms.
fn nginx(servers: &str) -> String {
    format!(
        "daemon off;\nworker_processes auto;\npid nginx.pid;\nerror_log stderr crit;\nuser root;\n\
         events {{ worker_connections 8192; }}\n\
         http {{\n  access_log off;\n  sendfile on;\n  sendfile_max_chunk 2m;\n  keepalive_requests 1000000000;\n\
         \x20 open_file_cache max=10000 inactive=10m;\n\
         \x20 client_body_temp_path temp;\n  proxy_temp_path temp;\n  fastcgi_temp_path temp;\n  uwsgi_temp_path temp;\n  scgi_temp_path temp;\n\
         {servers}}}\n"
    )
}

/// Blobs in slices of 1 MiB, each fetched once however many ask: the lock holds for as long as a fetch may take, as a lock that times
/// out sends everybody upstream. What is there already goes out by `sendfile`.
fn cached(folder: &Path, address: SocketAddr, upstream: SocketAddr) -> String {
    let cached = "proxy_cache edge; proxy_cache_lock on; proxy_cache_lock_timeout 600s; proxy_cache_lock_age 600s;\n\
                  \x20     proxy_ignore_headers Cache-Control Expires Set-Cookie Vary X-Accel-Expires;\n\
                  \x20     proxy_set_header Host $proxy_host; proxy_set_header Connection \"\";";
    format!(
        "\x20 proxy_cache_path {cache} levels=1:2 keys_zone=edge:64m max_size=20g inactive=24h use_temp_path=off;\n\
         \x20 proxy_http_version 1.1;\n  proxy_buffer_size 32k;\n  proxy_buffers 32 32k;\n\
         \x20 upstream registry {{ server {upstream}; keepalive 256; keepalive_requests 1000000000; }}\n\
         \x20 server {{\n    listen {address} reuseport backlog=4096;\n\
         \x20   location / {{ proxy_pass http://registry; }}\n\
         \x20   location ~ ^/v2/.+/manifests/ {{\n      {cached}\n\
         \x20     proxy_cache_key \"$uri $http_accept\"; proxy_cache_valid 200 30s; proxy_pass http://registry;\n    }}\n\
         \x20   location ~ ^/v2/.+/blobs/sha256: {{\n      {cached}\n\
         \x20     slice 1m; proxy_cache_key $uri$slice_range; proxy_set_header Range $slice_range; proxy_cache_valid 200 206 24h;\n\
         \x20     proxy_pass http://registry;\n    }}\n\
         \x20 }}\n",
        cache = folder.join("cache").display()
    )
}

/// Plain files.
fn plain(folder: &Path, address: SocketAddr) -> String {
    format!(
        "\x20 server {{\n    listen {address} reuseport backlog=4096;\n    root {};\n    location = /v2/ {{ return 200; }}\n  }}\n",
        folder.join(FILES).display()
    )
}
