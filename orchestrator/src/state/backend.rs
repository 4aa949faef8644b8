//! The one implementation of [`super::State`], for each database by a macro: it hands every call to the statements, in a transaction
//! of the database's own kind.

/// Implements `State` for a backend that has `reader`, `writer` and `begin`, in a module that has `statements`.
macro_rules! implement_state {
    ($backend:ty) => {
        #[async_trait::async_trait]
        impl $crate::state::State for $backend {
            async fn probe(&self) -> Result<(), StateError> {
                read!(self, |connection| statements::events::position(connection)).map(drop)
            }
            fn connections(&self) -> (u32, usize) {
                self.count_connections()
            }
            async fn lead(&self, wish: LeaseWish) -> Result<Lease, StateError> {
                write!(self, |connection| statements::lead::take(connection, &wish))
            }
            async fn resign(&self, holder: Uuid) -> Result<(), StateError> {
                write!(self, |connection| statements::lead::resign(connection, holder))
            }
            async fn leader(&self) -> Result<Option<Lease>, StateError> {
                read!(self, |connection| statements::lead::find(connection))
            }
            async fn commit(&self, term: u64, batch: &Batch) -> Result<Option<u64>, StateError> {
                write!(self, |connection| statements::changes::commit(connection, term, batch))
            }
            async fn act(&self, act: &Act) -> Result<Acted, StateError> {
                write!(self, |connection| statements::changes::act(connection, act))
            }
            async fn answer(&self, operation: &OperationKey) -> Result<Option<Answer>, StateError> {
                read!(self, |connection| statements::answers::find(connection, operation))
            }
            async fn note(&self, lines: &[AuditLine]) -> Result<(), StateError> {
                write!(self, |connection| statements::audit::add(connection, lines))
            }
            async fn sweep(&self, sweep: &Sweep) -> Result<u64, StateError> {
                let unnamed = if sweep.unnamed_layers {
                    read!(self, |connection| statements::layers::unnamed(connection, sweep.most))?
                } else {
                    statements::layers::Unnamed::default()
                };
                write!(self, |connection| statements::sweep::drop_all(connection, sweep, &unnamed))
            }
            async fn position(&self) -> Result<u64, StateError> {
                read!(self, |connection| statements::events::position(connection))
            }
            async fn events(&self, after: u64, most: u32) -> Result<EventPage, StateError> {
                read!(self, |connection| statements::events::page(connection, after, most))
            }
            async fn events_of(&self, namespace: Option<&Name>, id: Option<&str>, most: u32) -> Result<Vec<Event>, StateError> {
                read!(self, |connection| statements::events::latest(connection, namespace, id, most))
            }
            async fn audit(&self, before: Option<u64>, most: u32) -> Result<Vec<(u64, AuditLine)>, StateError> {
                read!(self, |connection| statements::audit::list(connection, before, most))
            }
            async fn namespaces(&self, slice: Slice<Name>) -> Result<Vec<NamespaceRow>, StateError> {
                read!(self, |connection| statements::namespaces::list(connection, &slice))
            }
            async fn namespace(&self, name: &Name) -> Result<Option<NamespaceRow>, StateError> {
                read!(self, |connection| statements::namespaces::find(connection, name))
            }
            async fn workloads(&self, filter: &WorkloadFilter, slice: Slice<WorkloadId>) -> Result<Vec<WorkloadRow>, StateError> {
                read!(self, |connection| statements::workloads::list(connection, filter, &slice))
            }
            async fn workload(&self, id: WorkloadId) -> Result<Option<WorkloadRow>, StateError> {
                read!(self, |connection| statements::workloads::find(connection, id))
            }
            async fn workload_named(
                &self,
                kind: WorkloadKind,
                namespace: &Name,
                name: &Name,
            ) -> Result<Option<WorkloadRow>, StateError> {
                read!(self, |connection| statements::workloads::find_named(connection, kind, namespace, name))
            }
            async fn revisions(&self, workload: WorkloadId) -> Result<Vec<RevisionRow>, StateError> {
                read!(self, |connection| statements::revisions::list(connection, workload))
            }
            async fn revisions_below(
                &self,
                workload: WorkloadId,
                below: Option<u64>,
                most: u32,
            ) -> Result<Vec<RevisionRow>, StateError> {
                read!(self, |connection| statements::revisions::page(connection, workload, below, most))
            }
            async fn count_pods(&self, workload: WorkloadId) -> Result<std::collections::BTreeMap<u64, u32>, StateError> {
                read!(self, |connection| statements::pods::count(connection, workload))
            }
            async fn owners(
                &self,
                of: &BTreeSet<(WorkloadId, u64)>,
            ) -> Result<BTreeMap<(WorkloadId, u64), (Name, Image)>, StateError> {
                read!(self, |connection| statements::revisions::owners(connection, of))
            }
            async fn rollouts(&self, workload: WorkloadId, most: u32) -> Result<Vec<RolloutRow>, StateError> {
                read!(self, |connection| statements::rollouts::list(connection, workload, most))
            }
            async fn pods(&self, filter: &PodFilter, slice: Slice<PodId>) -> Result<Vec<PodRow>, StateError> {
                read!(self, |connection| statements::pods::list(connection, filter, &slice))
            }
            async fn pod(&self, id: PodId) -> Result<Option<PodRow>, StateError> {
                read!(self, |connection| statements::pods::find(connection, id))
            }
            async fn nodes(&self, slice: Slice<NodeName>) -> Result<Vec<NodeRow>, StateError> {
                read!(self, |connection| statements::nodes::list(connection, &slice))
            }
            async fn node(&self, id: NodeId) -> Result<Option<NodeRow>, StateError> {
                read!(self, |connection| statements::nodes::find(connection, id))
            }
            async fn node_names(&self, ids: &BTreeSet<NodeId>) -> Result<BTreeMap<NodeId, NodeName>, StateError> {
                read!(self, |connection| statements::nodes::names(connection, ids))
            }
            async fn node_named(&self, name: &NodeName) -> Result<Option<NodeRow>, StateError> {
                read!(self, |connection| statements::nodes::find_named(connection, name))
            }
            async fn layers(&self, node: NodeId) -> Result<Vec<LayerRow>, StateError> {
                read!(self, |connection| statements::layers::of_node(connection, node))
            }
            async fn every_layer(&self, after: Option<NodeId>, most: u32) -> Result<Vec<(NodeId, Vec<LayerRow>)>, StateError> {
                read!(self, |connection| statements::layers::list(connection, after, most))
            }
            async fn operations(&self, running_only: bool, slice: Slice<OperationId>) -> Result<Vec<OperationRow>, StateError> {
                read!(self, |connection| statements::operations::list(connection, running_only, &slice))
            }
            async fn operation(&self, id: OperationId) -> Result<Option<OperationRow>, StateError> {
                read!(self, |connection| statements::operations::find(connection, id))
            }
            async fn join_tokens(&self) -> Result<Vec<JoinTokenRow>, StateError> {
                read!(self, |connection| statements::join_tokens::list(connection))
            }
        }
    };
}

/// Runs statements on a connection for reading, again on another where the first one broke.
macro_rules! read {
    ($self:ident, |$connection:ident| $statements:expr) => {{
        let mut attempts_left = ATTEMPTS;
        loop {
            let outcome = async {
                let mut pooled = $self.reader().await?;
                let $connection = &mut *pooled;
                $statements.await
            }
            .await;
            attempts_left -= 1;
            match outcome {
                Err(error) if attempts_left > 0 && StateError::is_broken_off(&error) => {}
                outcome => break outcome,
            }
        }
    }};
}

/// Runs statements in a transaction; again where that ended before it was to be committed, so that nothing was done, and another try
/// may do better.
macro_rules! write {
    ($self:ident, |$connection:ident| $statements:expr) => {{
        let mut attempts_left = ATTEMPTS;
        loop {
            let mut is_committing = false;
            let outcome = async {
                let mut pooled = $self.writer().await?;
                let mut transaction = Self::begin(&mut pooled).await?;
                let $connection = &mut *transaction;
                let value = $statements.await?;
                is_committing = true;
                transaction.commit().await?;
                Ok(value)
            }
            .await;
            attempts_left -= 1;
            match outcome {
                Err(error) if attempts_left > 0 && StateError::leaves_undone(&error, is_committing) => {}
                outcome => break outcome,
            }
        }
    }};
}

/// How often something is tried before it is given up: a server that was restarted leaves a pool of broken connections.
pub(super) const ATTEMPTS: u32 = 20;

pub(super) use {implement_state, read, write};
