use std::{
    io::{BufWriter, Write as _, stdout},
    time::Duration,
};

use clap::Args;
use jiff::Timestamp;
use longshore_client::{Layer, LayerPlace, LayerState};

use super::connection::NodeConnection;
use crate::{
    edge::Connection as _,
    failure::Failure,
    output::{Age, ByteCount, Format, JsonArray, NOTHING, Table},
};

/// How often all there is is asked for anew, where the node is started anew meanwhile or its changes come too fast.
const MOST_RESETS: u32 = 3;

#[derive(Args)]
pub struct LayersArguments {
    #[command(flatten)]
    connection: NodeConnection,
}

impl LayersArguments {
    /// Lists all there is, a page after another.
    pub async fn run(self) -> Result<(), Failure> {
        let connection = self.connection.edge();
        let client = connection.quick_client()?;
        let mut out = BufWriter::new(stdout());
        let mut table = Table::new(["DIGEST", "SIZE", "HAVE", "REPOSITORIES", "PINNED BY", "USED"]);
        let (mut array, mut cursor, mut resets) = (JsonArray::default(), None::<String>, 0);
        loop {
            let page = client.layers(cursor.as_deref(), Duration::ZERO).await.map_err(|error| connection.told(&error))?;
            resets += u32::from(page.is_reset);
            if resets > MOST_RESETS {
                return Err(Failure::Failed("the node begins anew again and again; does it crash?".to_owned()));
            }
            if page.is_reset && cursor.is_some() {
                return Err(Failure::Failed("the node was started anew meanwhile; ask again".to_owned()));
            }
            let now = Timestamp::now();
            match connection.output {
                Format::Table => table.write(&mut out, page.layers.iter().map(|layer| row(layer, now)).collect())?,
                Format::Json => array.write(&mut out, &page.layers)?,
            }
            out.flush()?;
            if !page.has_more {
                break;
            }
            cursor = Some(page.cursor);
        }
        if connection.output == Format::Json {
            array.finish(&mut out)?;
        }
        Ok(out.flush()?)
    }
}

/// The digest is whole: it is what pin takes.
fn row(layer: &Layer, now: Timestamp) -> [String; 6] {
    let or_nothing = |text: String| if text.is_empty() { NOTHING.to_owned() } else { text };
    let places: Vec<_> = layer.places.iter().map(place).collect();
    [
        layer.digest.to_string(),
        ByteCount(layer.size_bytes).to_string(),
        have(layer),
        or_nothing(places.join(", ")),
        or_nothing(layer.pinned_by.join(", ")),
        layer.used_at.map_or_else(|| NOTHING.to_owned(), |used_at| Age::at(now, used_at).to_string()),
    ]
}

fn place(place: &LayerPlace) -> String {
    place.repository.as_ref().map_or_else(|| place.registry.clone(), |repository| format!("{}/{repository}", place.registry))
}

/// `100%`, or `40%, coming`: how much of a hundred bytes is there, and 100 only where all is.
fn have(layer: &Layer) -> String {
    let hundredths = match layer.state {
        LayerState::Held => 100,
        _ if layer.size_bytes == 0 => 0,
        _ => (u128::from(layer.have_bytes) * 100 / u128::from(layer.size_bytes)).min(99),
    };
    if layer.state == LayerState::Coming { format!("{hundredths}%, coming") } else { format!("{hundredths}%") }
}

#[cfg(test)]
mod tests {
    use longshore_oci::{Algorithm, Digest};

    use super::*;

    #[test]
    fn a_layer_is_a_row() {
        let now: Timestamp = "2026-06-01T12:00:00Z".parse().expect("a time");
        let place = |repository: Option<&str>| LayerPlace {
            registry: "localhost:5000".to_owned(),
            repository: repository.map(str::to_owned),
        };
        let mut layer = Layer {
            digest: Digest::of(Algorithm::Sha256, b""),
            state: LayerState::Coming,
            size_bytes: 10 << 20,
            have_bytes: 4 << 20,
            places: vec![place(Some("alpine")), place(None)],
            pinned_by: vec!["operator".to_owned()],
            used_at: Some(now),
            supplied: None,
        };
        let expected = ["10.0 MiB", "40%, coming", "localhost:5000/alpine, localhost:5000", "operator", "0 s ago"];
        assert_eq!(row(&layer, now)[1..], expected);
        (layer.state, layer.have_bytes, layer.places, layer.used_at) = (LayerState::Held, 10 << 20, vec![], None);
        assert_eq!(row(&layer, now)[2..], ["100%", "-", "operator", "-"]);
        (layer.state, layer.have_bytes) = (LayerState::Partial, (10 << 20) - 1);
        assert_eq!(have(&layer), "99%");
        layer.size_bytes = 0;
        assert_eq!(have(&layer), "0%");
    }
}
