//! What was learned of upstreams, and of who may see what there.

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;

use super::{
    Denied, GrantSettings, Now, Place, Who,
    asking::{Answered, Asked},
    book::{Book, Question},
    token,
};
use crate::store::{Store, StoreError};

/// How long a repository that is closed to who shows nothing is not asked again about them.
const CLOSED_FOR: Duration = Duration::from_secs(10);
/// How many such are remembered.
const MOST_CLOSED: u64 = 10_000;
/// The kind of the records of upstreams' names of themselves.
const SERVICE_KIND: &str = "edge-registry-service";
/// How many upstreams' names of themselves are remembered.
const MOST_SERVICES: u64 = 1_000;

/// What was learned of upstreams.
pub struct Memory {
    pub book: Book,
    /// The repositories that are closed to who shows nothing, and what those are told.
    pub closed: Cache<Place, Denied>,
    /// The service that an upstream wants tokens for.
    pub services: Cache<Arc<str>, Arc<str>>,
    /// Where those are written down; nowhere in a test.
    store: Option<Store>,
}

impl Memory {
    /// Nothing yet, but for what is written down.
    pub fn new(settings: GrantSettings, store: Option<Store>) -> Result<Self, StoreError> {
        let services = Cache::new(MOST_SERVICES);
        for (upstream, service) in store.as_ref().map_or(Ok(Vec::new()), |store| store.records(SERVICE_KIND))? {
            services.insert(upstream.into(), String::from_utf8_lossy(&service).into());
        }
        Ok(Self {
            book: Book::new(settings, store.clone())?,
            closed: Cache::builder().max_capacity(MOST_CLOSED).time_to_live(CLOSED_FOR).build(),
            services,
            store,
        })
    }

    /// Takes in what an upstream said to a question that was put to it at a time.
    pub fn note(&self, question: &Question, asked_at: Now, asked: Result<Asked, Denied>) -> Answered {
        match asked {
            Ok(asked) => {
                self.book.grant(question, asked, asked_at);
                Ok(asked.lifetime.map(|lifetime| lifetime.after(asked_at.at.elapsed())))
            }
            Err(denied) => {
                if let Some(closes) = denied.closes(&question.what) {
                    self.book.refuse(question, closes, asked_at);
                }
                self.learn(&question.place, &question.who, &denied);
                Err(denied)
            }
        }
    }

    /// Takes in how an upstream refuses.
    pub fn learn(&self, place: &Place, who: &Who, denied: &Denied) {
        let Some(challenge) = denied.challenge() else { return };
        if let Some(service) = challenge.to_str().ok().and_then(token::service) {
            let is_news = self.services.get(&place.upstream).is_none_or(|known| *known != *service);
            if let Some(store) = self.store.as_ref().filter(|_| is_news) {
                store.put_record(SERVICE_KIND, place.upstream.to_string(), service.into());
            }
            self.services.insert(place.upstream.clone(), service.into());
        }
        if *who == Who::Anybody {
            // It will be told to others, who ask for something else.
            self.closed.insert(place.clone(), denied.clone().wordless());
        }
    }
}
