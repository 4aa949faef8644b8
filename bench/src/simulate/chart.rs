//! Lines over two axes, as SVG.

use std::fmt::Write as _;

use clap::ValueEnum as _;

use super::shape::Scenario;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 200.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 40.0;
/// How many points of a line are drawn at most: of more, one looks like the next.
const MOST_POINTS: usize = 400;
const COLOURS: [&str; 10] =
    ["#2f6fb0", "#d1782f", "#3f9160", "#9a5fb0", "#b04a4a", "#6b7280", "#b8a02f", "#2f9aa0", "#c05f8f", "#5f4a2f"];

/// A line.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it is of.
    pub name: String,
    /// Where it goes, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// What is drawn.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// Whether the axis across is logarithmic, with a mark for each point.
    pub is_logarithmic: bool,
    /// The lines.
    pub lines: Vec<Line>,
}

/// What a scenario is called.
pub fn name_of(scenario: Scenario) -> String {
    scenario.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Of values in order, which part is within which.
pub fn shares(values: &[f64]) -> Vec<(f64, f64)> {
    let step = values.len().div_ceil(MOST_POINTS).max(1);
    let all = whole(values.len());
    let mut points: Vec<_> = values.iter().enumerate().step_by(step).map(|(at, value)| (*value, whole(at + 1) / all)).collect();
    points.extend(values.last().map(|last| (*last, 1.0)));
    points
}

struct Axes {
    is_logarithmic: bool,
    low: f64,
    high: f64,
    top: f64,
}

impl Axes {
    fn of(chart: &Chart) -> Self {
        let points = || chart.lines.iter().flat_map(|line| &line.points);
        let across = |(x, _): &(f64, f64)| if chart.is_logarithmic { x.log10() } else { *x };
        let low = points().map(across).fold(f64::INFINITY, f64::min);
        let high = points().map(across).fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = if low < high { (low, high) } else { (low.min(0.0), high.max(1.0)) };
        let (low, high) = if low.is_finite() && high.is_finite() { (low, high) } else { (0.0, 1.0) };
        let top = points().map(|(_, y)| *y).fold(0.0, f64::max);
        Self { is_logarithmic: chart.is_logarithmic, low, high, top: if top > 0.0 { top * 1.05 } else { 1.0 } }
    }

    fn x(&self, x: f64) -> f64 {
        let x = if self.is_logarithmic { x.log10() } else { x };
        LEFT + (x - self.low) / (self.high - self.low) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, y: f64) -> f64 {
        HEIGHT - BOTTOM - y / self.top * (HEIGHT - TOP - BOTTOM)
    }

    fn draw(&self, svg: &mut String) {
        for step in 0..=4 {
            let part = f64::from(step) / 4.0;
            let (across, up) = (self.low + part * (self.high - self.low), part * self.top);
            let value = if self.is_logarithmic { 10_f64.powf(across) } else { across };
            let (x, y) = (self.x(value), self.y(up));
            let text = if self.is_logarithmic { format!("{value:.0}") } else { format!("{value:.2}") };
            let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#666\">{up:.2}</text>\
                 <line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\" stroke=\"#eee\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#666\">{text}</text>",
                LEFT - 6.0,
                y + 4.0,
                bottom + 16.0
            );
        }
    }
}

/// An SVG document.
pub fn draw(chart: &Chart) -> String {
    let axes = Axes::of(chart);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"10\" y=\"22\" font-size=\"15\">{}</text>\n",
        chart.title
    );
    axes.draw(&mut svg);
    for (number, line) in chart.lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let mut points = String::new();
        for (x, y) in &line.points {
            let _ = write!(points, "{:.1},{:.1} ", axes.x(*x), axes.y(*y));
            if chart.is_logarithmic {
                let _ = writeln!(svg, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>", axes.x(*x), axes.y(*y));
            }
        }
        let y = TOP + 18.0 * whole(number);
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>\
             <rect x=\"{:.1}\" y=\"{y:.1}\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            points.trim_end(),
            WIDTH - RIGHT + 14.0,
            WIDTH - RIGHT + 31.0,
            y + 10.0,
            line.name
        );
    }
    svg.push_str("</svg>\n");
    svg
}

#[expect(clippy::cast_precision_loss, reason = "a count of lines or nodes")]
fn whole(count: usize) -> f64 {
    count as f64
}
