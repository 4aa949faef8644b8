//! What pods that are alike want, found out once: where in the columns stands what a decision goes by.

use longshore_fleet::{Class, LabelKey, LabelValue, Operator, Requirement, Selector, WhenUnsatisfiable};

use super::{
    Cluster,
    cluster::key,
    cost::ticks,
    counters::{Counted, Kind},
    demand::{Compiled, Demand, Leaning},
    index::{CounterIndex, DemandIndex, StaticsIndex},
    statics::Static,
    topology::{HOSTNAME, ZONE},
};

impl Cluster {
    /// What pods that are alike want, by position: equal demands have the same.
    pub fn demand(&mut self, demand: &Demand) -> DemandIndex {
        let (at, is_new) = self.demands.intern(demand);
        if is_new {
            let compiled = self.compile(demand);
            self.compiled.push(compiled);
        }
        DemandIndex::at(at)
    }

    pub(crate) fn compiled(&self, demand: DemandIndex) -> &Compiled {
        &self.compiled[demand.position()]
    }

    fn compile(&mut self, demand: &Demand) -> Compiled {
        let statics = self.static_of(demand);
        let images = demand.images.iter().map(|image| self.layers.image(&image.layers)).collect();
        let terms = &demand.affinity;
        let mut near = Vec::new();
        for term in &terms.pod.required {
            let counter = self.counter(demand, &term.selector, &term.topology_key, Kind::Selected);
            near.push((counter, term.selector.matches(&demand.labels)));
        }
        let mut far = Vec::new();
        for term in &terms.pod_anti.required {
            far.push(self.counter(demand, &term.selector, &term.topology_key, Kind::Selected));
            self.counter(demand, &term.selector, &term.topology_key, Kind::Repelling);
        }
        let mut spread = Vec::new();
        let mut leanings = Vec::new();
        for wish in &demand.spread {
            let selector = wish.selector.clone().unwrap_or_else(|| own_labels(demand));
            let counter = self.counter(demand, &selector, &wish.topology_key, Kind::Selected);
            match wish.when_unsatisfiable {
                WhenUnsatisfiable::DoNotSchedule => spread.push((counter, wish.max_skew, selector.matches(&demand.labels))),
                WhenUnsatisfiable::ScheduleAnyway => {
                    leanings.push(Leaning { counter, cost: ticks(self.weights.spread_seconds), is_each: true });
                }
            }
        }
        if demand.class == Class::Online {
            for wish in [ZONE, HOSTNAME] {
                let counter = self.counter(demand, &own_labels(demand), &key(wish), Kind::Selected);
                leanings.push(Leaning { counter, cost: ticks(self.weights.spread_seconds), is_each: true });
            }
        }
        let weighed =
            terms.pod.preferred.iter().map(|term| (term, -1.0)).chain(terms.pod_anti.preferred.iter().map(|term| (term, 1.0)));
        for (term, sign) in weighed {
            let counter = self.counter(demand, &term.selector, &term.topology_key, Kind::Selected);
            let cost = ticks(sign * self.weights.affinity_seconds * f32::from(u8::try_from(term.weight).unwrap_or(100)) / 100.0);
            leanings.push(Leaning { counter, cost, is_each: false });
        }
        let demand = demand.clone();
        let (counted_by, repelled_by) = (Vec::new(), Vec::new());
        let mut compiled = Compiled { demand, statics, images, counted_by, repelled_by, near, far, spread, leanings };
        for (counter, meant) in self.counters.iter() {
            compiled.take_note(counter, meant, self.topologies.key(meant.topology));
        }
        compiled
    }

    fn static_of(&mut self, demand: &Demand) -> StaticsIndex {
        let suits = Static {
            node_selector: demand.node_selector.clone(),
            affinity: demand.affinity.node.clone(),
            tolerations: demand.tolerations.clone(),
            platforms: demand.images.iter().map(|image| (image.os.clone(), image.architecture.clone())).collect(),
        };
        self.statics.index(&suits, &self.nodes, &self.weights)
    }

    /// A counter; a new one counts the pods that are there.
    fn counter(&mut self, demand: &Demand, selector: &Selector, topology_key: &LabelKey, kind: Kind) -> CounterIndex {
        let topology = self.topologies.topology(topology_key, &self.nodes);
        let meant = Counted { namespace: demand.namespace.clone(), selector: selector.clone(), topology, kind };
        let (counter, is_new) = self.counters.counter(&meant);
        if is_new {
            for compiled in &mut self.compiled {
                compiled.take_note(counter, &meant, topology_key);
            }
            for bound in self.pods.values() {
                let is_counted = self.compiled[bound.demand.position()].counted_by.contains(&counter);
                if let Some(domain) = self.topologies.domain(topology, bound.node)
                    && is_counted
                {
                    self.counters.add(counter, domain);
                }
            }
        }
        counter
    }
}

/// What selects the pods of a demand's own kind: all of its labels.
fn own_labels(demand: &Demand) -> Selector {
    let requirement = |(key, value): (&LabelKey, &LabelValue)| Requirement {
        key: key.clone(),
        operator: Operator::In,
        values: vec![value.clone()],
    };
    Selector(demand.labels.iter().map(requirement).collect())
}
