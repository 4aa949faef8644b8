//! How each entrant is set up: its stock settings, with as little logging as it can do and no authentication.
//!
//! Ours logs a request that succeeds only at debug, so peers keep their access logs off and log errors alone.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::entrant::{Entrant, Program};
use super::object_server::Bucket;
use crate::error::BenchError;

/// The command that starts `entrant` with its data in `folder`, or in `bucket`.
pub fn command(entrant: &Entrant, folder: &Path, address: SocketAddr, bucket: Option<&Bucket>) -> Result<Command, BenchError> {
    match &entrant.program {
        Program::Longshore(program) => longshore(program, folder, address, bucket),
        Program::Distribution(program) => {
            let mut command = Command::new(program);
            command.arg("serve").arg(written(folder, "config.yml", &distribution(folder, address, bucket))?);
            Ok(command)
        }
        Program::Nginx(program) => {
            make(&folder.join("files/v2"))?;
            written(&folder.join("files/v2"), "index.html", "{}")?;
            let mut command = Command::new(program);
            command.arg("-p").arg(folder).arg("-c").arg(written(folder, "nginx.conf", &nginx(folder, address))?);
            Ok(command)
        }
        Program::Running(_) => Err(BenchError::Usage(format!("{} is running already", entrant.name))),
    }
}

fn longshore(program: &Path, folder: &Path, address: SocketAddr, bucket: Option<&Bucket>) -> Result<Command, BenchError> {
    let mut command = Command::new(program);
    let Some(bucket) = bucket else {
        command.args(["up", "--admin-listen", "off", "--listen"]).arg(address.to_string()).arg("--data").arg(folder.join("data"));
        return Ok(command);
    };
    let Bucket { endpoint, name, region, access_key_id, secret_access_key } = bucket;
    let database = folder.join("registry.db");
    let config = format!(
        "[listen]\naddress = \"{address}\"\nadmin_address = \"127.0.0.1:0\"\n\n\
         [storage]\nkind = \"s3\"\nbucket = \"{name}\"\nendpoint = \"{endpoint}\"\nregion = \"{region}\"\nforce_path_style = true\n\
         access_key_id = \"{access_key_id}\"\nsecret_access_key = \"{secret_access_key}\"\n\n\
         [database]\nkind = \"sqlite\"\nfile = \"{}\"\n",
        database.display()
    );
    command.args(["registry", "serve", "--config"]).arg(written(folder, "config.toml", &config)?);
    Ok(command)
}

fn distribution(folder: &Path, address: SocketAddr, bucket: Option<&Bucket>) -> String {
    let driver = match bucket {
        None => format!("  filesystem:\n    rootdirectory: {}\n", folder.join("data").display()),
        Some(Bucket { endpoint, name, region, access_key_id, secret_access_key }) => format!(
            "  s3:\n    accesskey: {access_key_id}\n    secretkey: {secret_access_key}\n    region: {region}\n    regionendpoint: {endpoint}\n\
             \x20   forcepathstyle: true\n    secure: false\n    bucket: {name}\n  redirect:\n    disable: true\n"
        ),
    };
    format!(
        "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  cache:\n    blobdescriptor: inmemory\n\
         \x20 delete:\n    enabled: true\n{driver}http:\n  addr: {address}\n"
    )
}

fn nginx(folder: &Path, address: SocketAddr) -> String {
    let files = folder.join("files");
    format!(
        "daemon off;\nworker_processes auto;\npid nginx.pid;\nerror_log stderr crit;\nuser root;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n  access_log off;\n  sendfile on;\n  tcp_nopush on;\n  keepalive_requests 1000000000;\n  open_file_cache max=1000;\n\
         \x20 client_body_temp_path temp;\n  proxy_temp_path temp;\n  fastcgi_temp_path temp;\n  uwsgi_temp_path temp;\n  scgi_temp_path temp;\n\
         \x20 server {{ listen {address}; root {}; index index.html; }}\n}}\n",
        files.display()
    )
}

/// Makes a folder, and those it lies in.
pub fn make(folder: &Path) -> Result<(), BenchError> {
    std::fs::create_dir_all(folder).map_err(BenchError::io(format!("make {}", folder.display())))
}

/// Writes a file; gives back its path.
pub fn written(folder: &Path, name: &str, text: &str) -> Result<std::path::PathBuf, BenchError> {
    let path = folder.join(name);
    std::fs::write(&path, text).map_err(BenchError::io(format!("write {}", path.display())))?;
    Ok(path)
}
