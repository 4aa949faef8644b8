use std::marker::PhantomData;

use longshore_fleet::api::Page;
use reqwest::Url;
use serde::de::DeserializeOwned;

use super::{FleetClient, FleetError, PAGE_SIZE, with_query};

/// A list that an orchestrator hands out page by page; one page is in memory at a time.
#[derive(Debug)]
pub struct FleetPages<'a, T> {
    client: &'a FleetClient,
    url: Url,
    after: After,
    /// Whether it comes in parts.
    has_parts: bool,
    items: PhantomData<fn() -> T>,
}

#[derive(Debug)]
enum After {
    /// The first page is the next.
    Nothing,
    /// The page after what is called this is.
    Mark(String),
    /// There are no more.
    All,
}

impl<'a, T: DeserializeOwned> FleetPages<'a, T> {
    pub(super) fn new(client: &'a FleetClient, url: Url) -> Self {
        Self { client, url, after: After::Nothing, has_parts: true, items: PhantomData }
    }

    /// A list that comes whole.
    pub(super) fn whole(client: &'a FleetClient, url: Url) -> Self {
        Self { has_parts: false, ..Self::new(client, url) }
    }

    /// The next page; `None` after the last. After an error the same page can be asked for again.
    pub async fn next_page(&mut self) -> Result<Option<Page<T>>, FleetError> {
        let after = match &self.after {
            After::Nothing => None,
            After::Mark(mark) => Some(mark.clone()),
            After::All => return Ok(None),
        };
        let limit = self.has_parts.then(|| PAGE_SIZE.to_string());
        let asked = [("limit", limit), ("after", after.clone())];
        let page: Page<T> = self.client.get(with_query(self.url.clone(), asked)).await?;
        self.after = match &page.next {
            Some(next) if after.as_ref() == Some(next) => {
                return Err(self.client.malformed("its list leads back to the same page"));
            }
            Some(next) => After::Mark(next.clone()),
            None => After::All,
        };
        Ok(Some(page))
    }

    /// The same list from its beginning.
    #[must_use]
    pub fn again(self) -> Self {
        Self { after: After::Nothing, ..self }
    }

    /// All that there is, where there are at most so many; an error tells that there are more.
    pub async fn all(mut self, most: usize) -> Result<Vec<T>, FleetError> {
        let mut items = Vec::new();
        while let Some(page) = self.next_page().await? {
            items.extend(page.items);
            if items.len() > most {
                return Err(self.client.malformed(format!("it lists more than {most} of what there should be few of")));
            }
        }
        Ok(items)
    }

    /// The first of them.
    pub async fn first(mut self) -> Result<Option<T>, FleetError> {
        while let Some(page) = self.next_page().await? {
            if let Some(item) = page.items.into_iter().next() {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }
}
