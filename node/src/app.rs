use std::net::SocketAddr;

use longshore_edge_cache as edge;
use longshore_p2p::swarm::Swarm;
use longshore_service::doors::{Doors, Drained};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::mirror::Keeper;

/// A node with its addresses taken, ready to run.
pub struct App {
    cache: edge::App,
    swarm: Option<Swarm>,
    mirrors: Option<Keeper>,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl App {
    pub(crate) fn new(
        cache: edge::App,
        swarm: Option<Swarm>,
        mirrors: Option<Keeper>,
        tasks: TaskTracker,
        stopping: CancellationToken,
    ) -> Self {
        Self { cache, swarm, mirrors, tasks, stopping }
    }

    /// Where it is reached.
    pub fn doors(&self) -> &Doors {
        self.cache.doors()
    }

    /// How much is kept: "up to 50GiB".
    pub fn summary(&self) -> &str {
        self.cache.summary()
    }

    /// The names of the registries that it speaks for.
    pub fn upstreams(&self) -> &[String] {
        self.cache.upstreams()
    }

    /// Where peers connect for pieces; `None` where the node shares nothing.
    pub fn peer_addresses(&self) -> Option<Vec<SocketAddr>> {
        self.swarm.as_ref().map(|swarm| swarm.record().pieces)
    }

    /// Serves until `shutdown` is cancelled, then finishes what runs, within the drain's limit, and leaves the swarm. Runtimes are told of
    /// it meanwhile, where that is wanted.
    pub async fn run(self, shutdown: CancellationToken) -> Drained {
        let Self { cache, swarm, mirrors, tasks, stopping } = self;
        let closing = match mirrors {
            Some(mirrors) => {
                let closing = CancellationToken::new();
                // Its address is taken: who connects from now on is answered in a moment. It stops to listen when nobody is sent to it.
                tokio::spawn(mirrors.keep(shutdown, closing.clone().drop_guard()));
                closing
            }
            None => shutdown,
        };
        let drained = cache.run(closing).await;
        // Only now: what runs is fetched of neighbours, too.
        if let Some(swarm) = swarm {
            swarm.leave().await;
        }
        stopping.cancel();
        tasks.close();
        tasks.wait().await;
        drained
    }
}
