//! The registry, of what was opened for it.

use std::sync::{Arc, OnceLock};

use longshore_oci::VerdictLifetime;
use longshore_service::metrics::{HttpMetrics, Metrics};
use tokio::sync::{Notify, Semaphore};
use tokio_util::task::TaskTracker;

use crate::{
    access::Access,
    audit::SharedAudit,
    config::{Config, MissingReferences, Redirect as RedirectWhen},
    delivery::Delivery,
    feed::Feed,
    keys::Keys,
    memory::Memory,
    policy::{Parts, Policies},
    redirect::Redirect,
    registry::{Limits, PolicyLimits, Registry, Traffic, VerdictLimits},
    state::SharedState,
    storage::SharedStore,
    throttle::{Allowance, Throttle},
    upload::{Begun, Budget, UploadSettings},
    verdicts::Verdicts,
};

pub(super) fn assemble(
    config: &Config,
    (documents, keys, access, audit): (Parts, Arc<Keys>, Option<Arc<Access>>, SharedAudit),
    store: SharedStore,
    state: SharedState,
    metrics: &Metrics,
    http: &HttpMetrics,
) -> Registry {
    let damaged = metrics.counter("longshore_content_damaged_total", "Stored pieces found damaged, and so not served.");
    let budget = || Budget::new(config.uploads.memory_budget.as_bytes(), config.uploads.budget_wait.get());
    let uploads = UploadSettings {
        claim_lease: config.uploads.claim_lease.get(),
        body_idle_timeout: config.listen.body_idle_timeout.get(),
        max_blob_bytes: config.max_blob_size().as_bytes(),
        garbage_grace: config.sweep.garbage_grace.get(),
    };
    Registry {
        policies: Arc::new(Policies::new(
            documents,
            metrics.counter("longshore_policy_refused_total", "Requests refused by a policy."),
            metrics.counter("longshore_policy_warned_total", "Violations of policies that only warn."),
        )),
        access,
        audit,
        feed: Feed::new(
            state.clone(),
            config.requests.max_event_streams,
            metrics.gauge("longshore_event_followers", "Callers who follow the registry's changes."),
        ),
        throttle: Throttle::new(Allowance {
            requests_per_second: config.throttle.requests_per_second,
            bytes_per_second: config.throttle.bytes_per_second.as_bytes(),
            concurrent_pulls: config.throttle.concurrent_pulls,
        }),
        keys,
        verdicts: Verdicts::new(),
        memory: Memory::new(state.clone(), config.manifests.cache_size.as_bytes()),
        delivery: Delivery::new(store.clone(), budget(), damaged),
        budget: budget(),
        begun: state.is_exclusive().then(|| Begun::new(uploads.claim_lease)),
        redirect: redirect(config),
        in_flight: Semaphore::new(config.requests.max_in_flight),
        tasks: TaskTracker::new(),
        garbage: Notify::new(),
        links: Notify::new(),
        traffic: Traffic { received: http.received_bytes.clone(), sent: http.sent_bytes.clone() },
        swarm_record: OnceLock::new(),
        uploads_open: metrics.gauge("longshore_uploads_open", "Uploads begun and not ended, as of the last sweep."),
        limits: Limits {
            uploads,
            max_manifest_bytes: config.manifests.max_size.as_bytes(),
            allows_missing_references: config.manifests.missing_references == MissingReferences::Allow,
            max_page: config.lists.max_page,
            policies: PolicyLimits {
                document_bytes: config.policy.max_document_size.as_bytes(),
                documents: config.policy.max_documents,
            },
            verdicts: VerdictLimits::new(VerdictLifetime::new(
                config.policy.verdict_ttl.get(),
                config.policy.verdict_stale.get(),
            )),
            scheme: if config.listen.tls_files().is_some() { "https" } else { "http" },
            public_url: config
                .listen
                .public_url
                .as_ref()
                .map(|url| url.as_str().trim_end_matches('/').to_owned())
                .unwrap_or_default(),
        },
        state,
        store,
    }
}

fn redirect(config: &Config) -> Redirect {
    let storage = &config.storage;
    Redirect {
        min_bytes: match storage.redirect {
            RedirectWhen::Never => None,
            RedirectWhen::Always => Some(0),
            RedirectWhen::Large => Some(storage.redirect_min_size.as_bytes()),
        },
        networks: storage.redirect_networks.clone(),
        valid_for: storage.redirect_expiry.get(),
    }
}
