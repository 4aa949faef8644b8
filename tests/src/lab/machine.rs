use std::{net::Ipv4Addr, panic::resume_unwind};

use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

use super::network::sent_bytes;
use crate::Namespace;

/// A machine of the lab: an address, and what runs there.
pub struct Machine {
    pub(crate) namespace: Namespace,
    number: u8,
    /// Its threads are on the machine, and so are the sockets that they make. It is there until the machine is dropped.
    runtime: Option<Runtime>,
}

impl Machine {
    /// What its network card is called there.
    pub(super) const CARD: &str = "e0";

    pub(super) async fn new(number: u8) -> Self {
        let namespace = Namespace::new().await;
        let enter = namespace.entering();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().on_thread_start(enter).build();
        Self { namespace, number, runtime: Some(runtime.expect("the system has threads")) }
    }

    /// Its address.
    pub fn ip(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, self.number)
    }

    /// Its network.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Where a node on it takes connections for pieces.
    pub fn pieces(&self) -> String {
        format!("{}:5202", self.ip())
    }

    /// Where peers and trackers find a node on it.
    pub fn control(&self) -> String {
        format!("{}:5203", self.ip())
    }

    /// Begins something whose sockets are on the machine.
    pub fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.runtime.as_ref().expect("it is there until the machine is dropped").spawn(work)
    }

    /// The same to its end; gives back what came of it.
    pub async fn inside<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        match self.spawn(work).await {
            Ok(outcome) => outcome,
            Err(error) => resume_unwind(error.into_panic()),
        }
    }

    /// What it has sent over its link, in bytes, headers included.
    pub async fn sent_bytes(&self) -> u64 {
        sent_bytes(&self.namespace, Self::CARD).await
    }

    pub(super) fn number(&self) -> u8 {
        self.number
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A runtime can't be waited for within another.
            runtime.shutdown_background();
        }
    }
}
