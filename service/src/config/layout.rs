//! How a daemon's structs tell the loader what they hold.

use super::{Problems, Setting};

/// The settings of one section, by key. Written by [`settings!`](crate::settings).
pub trait Section {
    /// Each key with its value, in the order of the struct.
    fn settings(&self) -> Vec<(&'static str, &dyn Setting)>;

    /// Each key with its value to be set, in the order of the struct.
    fn settings_mut(&mut self) -> Vec<(&'static str, &mut dyn Setting)>;
}

/// The sections of one daemon's configuration, by name. Written by [`sections!`](crate::sections).
pub trait Sections {
    /// Each section with its name, in the order of the struct.
    fn sections(&self) -> Vec<(&'static str, &dyn Section)>;

    /// Each section with its name, to be set, in the order of the struct.
    fn sections_mut(&mut self) -> Vec<(&'static str, &mut dyn Section)>;
}

/// A daemon's whole configuration, and what must hold between its values.
pub trait Layout: Sections + Default {
    /// Adds a problem for each value, or pair of values, that cannot work. Looks at nothing but `self`.
    fn check(&self, problems: &mut Problems<'_>);

    /// Adds a problem for each file that the configuration names and that cannot be used. May do blocking I/O.
    fn check_files(&self, _problems: &mut Problems<'_>) {}
}

/// Makes a struct a [`Section`](crate::config::Section): `settings!(Storage { bucket, part_size });` names all its fields.
///
/// A field left out does not compile, so a setting cannot be forgotten.
#[macro_export]
macro_rules! settings {
    ($section:ident { $($key:ident),+ $(,)? }) => {
        impl $crate::config::Section for $section {
            fn settings(&self) -> Vec<(&'static str, &dyn $crate::config::Setting)> {
                let Self { $($key),+ } = self;
                vec![$((stringify!($key), $key as &dyn $crate::config::Setting)),+]
            }

            fn settings_mut(&mut self) -> Vec<(&'static str, &mut dyn $crate::config::Setting)> {
                let Self { $($key),+ } = self;
                vec![$((stringify!($key), $key as &mut dyn $crate::config::Setting)),+]
            }
        }
    };
}

/// Makes a struct of sections a [`Sections`](crate::config::Sections): `sections!(Config { listen, storage });`.
///
/// A field left out does not compile, so a section cannot be forgotten.
#[macro_export]
macro_rules! sections {
    ($config:ident { $($name:ident),+ $(,)? }) => {
        impl $crate::config::Sections for $config {
            fn sections(&self) -> Vec<(&'static str, &dyn $crate::config::Section)> {
                let Self { $($name),+ } = self;
                vec![$((stringify!($name), $name as &dyn $crate::config::Section)),+]
            }

            fn sections_mut(&mut self) -> Vec<(&'static str, &mut dyn $crate::config::Section)> {
                let Self { $($name),+ } = self;
                vec![$((stringify!($name), $name as &mut dyn $crate::config::Section)),+]
            }
        }
    };
}
