//! Positions in columns: numbers that name something for as long as the cluster lives.

macro_rules! index {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(pub(crate) u32);

        impl $name {
            /// The index of what stands at this position.
            pub(crate) fn at(position: usize) -> Self {
                Self(u32::try_from(position).unwrap_or_else(|_| unreachable!("columns have fewer than 2^32 entries")))
            }

            /// Its position.
            pub(crate) const fn position(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index! {
    /// A node.
    NodeIndex
}
index! {
    /// A demand: what pods that are alike want.
    DemandIndex
}
index! {
    /// A layer.
    LayerIndex
}
index! {
    /// An image: a set of layers.
    ImageIndex
}
index! {
    /// A label of nodes by which pods are counted.
    TopologyIndex
}
index! {
    /// One value of such a label.
    DomainIndex
}
index! {
    /// A number of pods, counted by the values of a label.
    CounterIndex
}
index! {
    /// What suits nodes by what they are, whoever is on them.
    StaticsIndex
}
