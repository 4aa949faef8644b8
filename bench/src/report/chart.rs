//! The ratios of the rates as a bar chart: one bar a case and peer, on a logarithmic axis around 1.

use std::fmt::Write as _;

use super::ratio::{Metric, Spread, between};
use super::record::Run;

const LABEL_PX: f64 = 250.0;
const PLOT_PX: f64 = 560.0;
const VALUE_PX: f64 = 150.0;
const BAR_PX: f64 = 14.0;
const GAP_PX: f64 = 10.0;
const TOP_PX: f64 = 64.0;
const COLOURS: [&str; 6] = ["#2f6fb0", "#d1782f", "#3f9160", "#9a5fb0", "#b04a4a", "#6b7280"];
/// The axis shows at least this much on each side of 1.
const LEAST_OCTAVES: f64 = 1.0;

/// An SVG document.
pub fn draw(run: &Run) -> String {
    let Some((subject, peers)) = run.entrants.split_first() else {
        return String::new();
    };
    let mut rows: Vec<(&str, Vec<(usize, Spread)>)> = Vec::new();
    for case in &run.cases {
        let spreads = peers
            .iter()
            .enumerate()
            .filter_map(|(number, peer)| Some((number, between(case, Metric::Rate, &subject.name, &peer.name)?)));
        rows.push((&case.title, spreads.collect()));
    }
    rows.retain(|(_, bars)| !bars.is_empty());
    let ends = || rows.iter().flat_map(|(_, bars)| bars).flat_map(|(_, spread)| [spread.min.log2(), spread.max.log2()]);
    let axis = Axis { low: ends().fold(-LEAST_OCTAVES, f64::min).floor(), high: ends().fold(LEAST_OCTAVES, f64::max).ceil() };

    let bars: f64 = rows.iter().map(|(_, bars)| units(bars.len()) * BAR_PX + GAP_PX).sum();
    let (width, height) = (LABEL_PX + PLOT_PX + VALUE_PX, TOP_PX + bars + 30.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"22\" font-size=\"15\">{} ÷ peer, operations a second ({} store, median and range of {} rounds)</text>\n",
        escaped(&subject.name),
        escaped(&run.store),
        run.rounds
    );
    for (number, peer) in peers.iter().enumerate() {
        let x = LABEL_PX + units(number) * 140.0;
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"34\" width=\"12\" height=\"12\" fill=\"{}\"/><text x=\"{}\" y=\"44\">{}</text>",
            COLOURS[number % COLOURS.len()],
            x + 17.0,
            escaped(&peer.name)
        );
    }
    axis.draw(&mut svg, height - 30.0);
    let mut y = TOP_PX;
    for (title, bars) in &rows {
        let middle = y + units(bars.len()) * BAR_PX / 2.0 + 4.0;
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{middle:.1}\" text-anchor=\"end\">{}</text>", LABEL_PX - 10.0, escaped(title));
        for (number, spread) in bars {
            axis.bar(&mut svg, y, COLOURS[number % COLOURS.len()], spread);
            y += BAR_PX;
        }
        y += GAP_PX;
    }
    svg.push_str("</svg>\n");
    svg
}

/// A logarithmic axis, in powers of two.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn x(&self, ratio: f64) -> f64 {
        LABEL_PX + (ratio.log2() - self.low) / (self.high - self.low) * PLOT_PX
    }

    fn draw(&self, svg: &mut String, bottom: f64) {
        let mut octave = self.low;
        while octave <= self.high {
            let ratio = octave.exp2();
            let (x, colour) = (self.x(ratio), if octave == 0.0 { "#333" } else { "#ddd" });
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{bottom:.1}\" stroke=\"{colour}\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#666\">{}×</text>",
                TOP_PX - 6.0,
                bottom + 16.0,
                if ratio < 1.0 { format!("1/{}", 1.0 / ratio) } else { ratio.to_string() }
            );
            octave += 1.0;
        }
    }

    fn bar(&self, svg: &mut String, y: f64, colour: &str, spread: &Spread) {
        let (one, end) = (self.x(1.0), self.x(spread.median));
        let (low, high, middle) = (self.x(spread.min), self.x(spread.max), y + BAR_PX / 2.0);
        let _ = writeln!(
            svg,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{}\" fill=\"{colour}\"/>\
             <line x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\" stroke=\"#000\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{:.2}×</text>",
            one.min(end),
            y + 1.0,
            (end - one).abs().max(1.0),
            BAR_PX - 2.0,
            high.max(one) + 6.0,
            middle + 4.0,
            spread.median
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of bars")]
fn units(count: usize) -> f64 {
    count as f64
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
