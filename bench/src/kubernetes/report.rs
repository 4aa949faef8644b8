//! Ours and theirs, side by side.

use std::{fs, path::Path};

use longshore_fleet::Class;
use serde::Serialize;

use super::{Compared, Setting, Theirs};
use crate::{
    error::BenchError,
    report::{
        table::{significant, table},
        write_json,
    },
    rollouts::{
        curve::{Curve, HEAD, Point, cells},
        ledger::Measured,
    },
    simulate::chart::{Chart, Line, draw},
};

/// What was to be reached, and what was.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Goal {
    of: &'static str,
    against: Setting,
    bound: String,
    /// None where nothing of ours will do.
    measured: Option<f64>,
    met: bool,
    /// The exchange rate by which it came to that.
    by: String,
}

/// How much more a deviation may be to count as the same.
const SAME: f64 = 1.1;

/// Judges what was measured.
pub(super) fn goals(theirs: &[Theirs], curve: &Curve) -> Vec<Goal> {
    let mut goals = Vec::new();
    let Some(default) = theirs.iter().find(|theirs| theirs.setting == Setting::Default) else { return goals };
    let least_rate = curve.points.iter().map(|point| point.measured.first_per_second).fold(f64::INFINITY, f64::min);
    let times = least_rate / default.measured.first_per_second;
    goals.push(Goal {
        of: "pods a second, the slowest of ours",
        against: default.setting,
        bound: "≥ 20".to_owned(),
        measured: Some(times),
        met: times >= 20.0,
        by: "all".to_owned(),
    });
    for their in theirs.iter().filter(|their| !their.setting.packs()) {
        let is_even = |point: &Point| point.class == Class::Online && is_as_even(&point.measured, &their.measured);
        goals.push(least(curve, is_even, "cold bytes at its own balance and spread", their, 3));
    }
    let pair = |point: &Point| point.measured.most_alike <= 2;
    goals.push(least(curve, pair, "cold bytes of at most two alike on a node", default, 6));
    for their in theirs.iter().filter(|their| their.setting.packs()) {
        let is_as_spread = |point: &Point| point.measured.most_alike <= their.measured.most_alike;
        goals.push(least(curve, is_as_spread, "cold bytes, alike as it is", their, 6));
    }
    goals
}

/// Of ours that will do, the one with the fewest cold bytes, beside theirs.
fn least(curve: &Curve, will_do: impl Fn(&Point) -> bool, of: &'static str, their: &Theirs, parts: u32) -> Goal {
    let best = curve.points.iter().filter(|point| will_do(point)).min_by_key(|point| point.measured.cold_bytes);
    let measured = best.map(|best| ratio(best.measured.cold_bytes, their.measured.cold_bytes));
    Goal {
        of,
        against: their.setting,
        bound: format!("≤ 1/{parts}"),
        measured,
        met: measured.is_some_and(|measured| measured * f64::from(parts) <= 1.0),
        by: best.map_or_else(|| "none of ours".to_owned(), name),
    }
}

/// Whether nodes are used as evenly, and pods of a workload as far apart.
fn is_as_even(ours: &Measured, theirs: &Measured) -> bool {
    ours.cpu_deviation <= theirs.cpu_deviation * SAME
        && ours.memory_deviation <= theirs.memory_deviation * SAME
        && ours.most_alike <= theirs.most_alike
        && ours.zone_skew <= theirs.zone_skew * SAME
}

fn name(point: &Point) -> String {
    let Point { balance_seconds, evenness_seconds, spread_seconds, most_alike_allowed, .. } = point;
    let class = format!("{:?}", point.class).to_lowercase();
    let alike = most_alike_allowed.map_or("any".to_owned(), |most| most.to_string());
    format!("{class}, {balance_seconds}, {evenness_seconds} and {spread_seconds} s, {alike} alike")
}

/// Says what one setting came to, for those who wait for the rest.
pub(super) fn tell(setting: Setting, measured: &Measured) {
    let said: Vec<String> = HEAD.iter().zip(cells(measured)).map(|(head, cell)| format!("{head} {cell}")).collect();
    let rate = significant(measured.first_per_second);
    eprintln!("bench: kube-scheduler, {}: {rate} pods/s, {}", setting.name(), said.join(", "));
}

/// Prints tables, and writes the figures and a chart.
pub(super) fn report(compared: &Compared, curve: &Curve, folder: &Path) -> Result<(), BenchError> {
    let head = ["kube-scheduler", "pods/s", "decides, µs"].into_iter().chain(HEAD);
    let mut shown = table(head.map(str::to_owned).collect());
    for theirs in &compared.theirs {
        let own =
            [theirs.setting.name(), significant(theirs.measured.first_per_second), significant(theirs.decision_seconds * 1e6)];
        shown.add_row(own.into_iter().chain(cells(&theirs.measured)));
    }
    println!("{shown}\n{}", curve.table());
    let mut shown = table(["goal", "against", "bound", "measured", "met", "by"].map(str::to_owned).to_vec());
    for goal in &compared.goals {
        let met = if goal.met { "yes" } else { "NO" };
        let (against, measured) = (goal.against.name(), goal.measured.map_or_else(String::new, significant));
        shown.add_row([goal.of.to_owned(), against, goal.bound.clone(), measured, met.to_owned(), goal.by.clone()]);
    }
    println!("{shown}");
    write_json(folder, "kubernetes", compared)?;
    let path = folder.join("kubernetes.svg");
    fs::write(&path, draw(&chart(compared))).map_err(BenchError::io(format!("write {}", path.display())))
}

/// Cold bytes over how unevenly processors are used.
fn chart(compared: &Compared) -> Chart {
    #[expect(clippy::cast_precision_loss, reason = "for people to look at")]
    let at = |measured: &Measured| (measured.cpu_deviation * 100.0, measured.cold_bytes as f64 / 1e9);
    let mut lines: Vec<Line> = Vec::new();
    for point in &compared.ours {
        let alike = point.most_alike_allowed.map_or("any".to_owned(), |most| most.to_string());
        let name = format!("{:?}, {alike} alike", point.class).to_lowercase();
        match lines.iter_mut().find(|line| line.name == name) {
            Some(line) => line.points.push(at(&point.measured)),
            None => lines.push(Line { name, points: vec![at(&point.measured)] }),
        }
    }
    for line in &mut lines {
        line.points.sort_by(|one, other| one.0.total_cmp(&other.0));
    }
    lines.extend(
        compared
            .theirs
            .iter()
            .map(|theirs| Line { name: format!("Kubernetes, {}", theirs.setting.name()), points: vec![at(&theirs.measured)] }),
    );
    let title = "Cold GB of 20 rollouts over the deviation of cpu, in % of a node".to_owned();
    Chart { title, is_logarithmic: true, lines }
}

#[expect(clippy::cast_precision_loss, reason = "a part of a whole")]
fn ratio(ours: u64, theirs: u64) -> f64 {
    ours as f64 / theirs.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(cold_bytes: u64, deviation: f64, most_alike: usize) -> Measured {
        Measured {
            first_per_second: 10_000.0,
            cold_bytes,
            cpu_deviation: deviation,
            memory_deviation: deviation,
            most_alike,
            zone_skew: 0.1,
            ..Measured::default()
        }
    }

    #[test]
    fn only_what_is_as_even_and_as_far_apart_stands_beside_it() {
        let theirs = |setting, measured| Theirs { setting, decision_seconds: 0.001, measured };
        let default = Measured { first_per_second: 100.0, ..measured(600, 0.1, 1) };
        let theirs = [theirs(Setting::Default, default), theirs(Setting::Packing, measured(540, 0.4, 3))];
        let point = |measured| Point {
            class: Class::Online,
            balance_seconds: 1.0,
            evenness_seconds: 1.0,
            spread_seconds: 1.0,
            most_alike_allowed: None,
            measured,
        };
        let points = vec![
            point(measured(210, 0.105, 1)),
            point(measured(150, 0.12, 1)),
            point(measured(100, 0.1, 2)),
            point(measured(80, 0.3, 3)),
        ];
        let goals = goals(&theirs, &Curve { points });
        let told: Vec<(Setting, Option<f64>, bool)> = goals.iter().map(|goal| (goal.against, goal.measured, goal.met)).collect();
        let expected = [
            (Setting::Default, Some(100.0), true),
            (Setting::Default, Some(210.0 / 600.0), false),
            (Setting::Default, Some(100.0 / 600.0), true),
            (Setting::Packing, Some(80.0 / 540.0), true),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_goal_that_nothing_of_ours_comes_near_is_missed_and_not_left_out() {
        let theirs = [Theirs { setting: Setting::Default, decision_seconds: 0.001, measured: measured(600, 0.01, 1) }];
        let [_, balance, _] = &goals(&theirs, &Curve { points: Vec::new() })[..] else { unreachable!("there are three goals") };
        assert_eq!((balance.measured, balance.met), (None, false));
    }
}
