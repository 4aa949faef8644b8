use std::sync::Arc;

use super::claimed::Claimed;
use crate::{hot::Piece, source::SharedSource, store::Entry};

impl Claimed {
    /// Keeps the one piece that it is, which is in memory: its blob was dropped and begun anew, or another has the same. Nothing is
    /// fetched for that.
    pub(super) async fn keep(mut self, entry: Arc<Entry>, source: SharedSource, held: Piece) {
        let Some(((piece, _), teller)) = self.pieces.first_mut().map(|(place, teller)| (*place, teller.take())) else { return };
        let keep = {
            let (shared, entry, keeping) = (self.shared.clone(), entry.clone(), self.shared.keeping.token());
            move || {
                let _keeping = keeping;
                (shared.hand_on(&entry, piece, &held, teller.as_ref()), teller)
            }
        };
        let Ok((came, teller)) = tokio::task::spawn_blocking(keep).await else { return };
        // Known before anybody finds nobody at it.
        self.shared.is_kept(&entry, came);
        self.land();
        drop(teller);
        self.shared.check_kept(&entry, &source);
    }
}
