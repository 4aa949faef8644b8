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

    /// Each list of sections with its name, in the order of the struct.
    fn lists(&self) -> Vec<(&'static str, &dyn SectionList)> {
        Vec::new()
    }

    /// Each list of sections with its name, to be set, in the order of the struct.
    fn lists_mut(&mut self) -> Vec<(&'static str, &mut dyn SectionList)> {
        Vec::new()
    }
}

/// The most sections that a list of them may have.
const MOST_LISTED: usize = 64;

/// Sections of one kind, as many as somebody writes: `[[upstream]]`. The environment and flags name one by its position, from 0.
pub trait SectionList {
    /// The sections in their order.
    fn listed(&self) -> Vec<&dyn Section>;

    /// The section at a position, which is there from then on, with those before it; or why it can't be.
    fn at_mut(&mut self, position: usize) -> Result<&mut dyn Section, String>;
}

impl<S: Section + Default> SectionList for Vec<S> {
    fn listed(&self) -> Vec<&dyn Section> {
        self.iter().map(|section| section as &dyn Section).collect()
    }

    fn at_mut(&mut self, position: usize) -> Result<&mut dyn Section, String> {
        if position >= MOST_LISTED {
            return Err(format!("there may be {MOST_LISTED} of these"));
        }
        if position >= self.len() {
            self.resize_with(position + 1, S::default);
        }
        Ok(&mut self[position])
    }
}

/// A daemon's whole configuration, and what must hold between its values.
pub trait Layout: Sections + Default {
    /// Adds a problem for each value, or pair of values, that cannot work. Looks at nothing but `self`.
    fn check(&self, problems: &mut Problems<'_>);

    /// Adds a problem for each file that the configuration names and that cannot be used. May do blocking I/O.
    fn check_files(&self, _problems: &mut Problems<'_>) {}

    /// Sets what follows from other values whatever was set, once nothing is wrong. Returns the paths of what was changed.
    fn derive(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// Makes a struct a [`Section`](crate::config::Section): `settings!(Storage { bucket, part_size });` names all its fields.
///
/// A field left out does not compile, so a setting cannot be forgotten. What several sections have alike is a section by itself, whose keys
/// come first: `settings!(Listen { ..common, public_url });`.
#[macro_export]
macro_rules! settings {
    ($section:ident { ..$base:ident, $($key:ident),+ $(,)? }) => {
        impl $crate::config::Section for $section {
            fn settings(&self) -> Vec<(&'static str, &dyn $crate::config::Setting)> {
                let Self { $base, $($key),+ } = self;
                let mut settings = $crate::config::Section::settings($base);
                $(settings.push((stringify!($key), $key as &dyn $crate::config::Setting));)+
                settings
            }

            fn settings_mut(&mut self) -> Vec<(&'static str, &mut dyn $crate::config::Setting)> {
                let Self { $base, $($key),+ } = self;
                let mut settings = $crate::config::Section::settings_mut($base);
                $(settings.push((stringify!($key), $key as &mut dyn $crate::config::Setting));)+
                settings
            }
        }
    };
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

/// Makes a struct of sections a [`Sections`](crate::config::Sections): `sections!(Config { listen, storage });`, with lists of sections
/// behind a semicolon: `sections!(Config { listen; upstream });`.
///
/// A field left out does not compile, so a section cannot be forgotten.
#[macro_export]
macro_rules! sections {
    ($config:ident { $($name:ident),+ $(,)? $(; $($list:ident),+ $(,)?)? }) => {
        impl $crate::config::Sections for $config {
            fn sections(&self) -> Vec<(&'static str, &dyn $crate::config::Section)> {
                let Self { $($name),+ $(, $($list: _),+)? } = self;
                vec![$((stringify!($name), $name as &dyn $crate::config::Section)),+]
            }

            fn sections_mut(&mut self) -> Vec<(&'static str, &mut dyn $crate::config::Section)> {
                let Self { $($name),+ $(, $($list: _),+)? } = self;
                vec![$((stringify!($name), $name as &mut dyn $crate::config::Section)),+]
            }

            $(
                fn lists(&self) -> Vec<(&'static str, &dyn $crate::config::SectionList)> {
                    vec![$((stringify!($list), &self.$list as &dyn $crate::config::SectionList)),+]
                }

                fn lists_mut(&mut self) -> Vec<(&'static str, &mut dyn $crate::config::SectionList)> {
                    vec![$((stringify!($list), &mut self.$list as &mut dyn $crate::config::SectionList)),+]
                }
            )?
        }
    };
}
