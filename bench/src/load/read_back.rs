//! Seeing that a server gives back what it was given.

use std::net::SocketAddr;

use sha2::{Digest as _, Sha256};

use super::connection::Connection;
use super::push::{bare_request, expect};
use crate::error::BenchError;

/// GETs each path from the server called `name`, and holds the body against the digest that is beside it.
pub async fn read_back<'a>(
    name: &str,
    address: SocketAddr,
    paths: impl IntoIterator<Item = (String, &'a str)>,
) -> Result<(), BenchError> {
    let (mut connection, host) = (Connection::open(address).await?, address.to_string());
    for (path, digest) in paths {
        let mut hasher = Sha256::new();
        connection.send(&bare_request("GET", &path, &host)).await?;
        expect(200, &format!("GET {path}"), connection.receive(Some(&mut hasher)).await?.status)?;
        if format!("sha256:{}", hex::encode(hasher.finalize())) != digest {
            return Err(BenchError::WrongBytes { server: name.to_owned(), path });
        }
        if connection.closed {
            connection = Connection::open(address).await?;
        }
    }
    Ok(())
}
