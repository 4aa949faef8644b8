/// What must be there for a change to be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    /// Whatever it is.
    Anything,
    /// Nothing.
    Nothing,
    /// Something, whatever it is.
    Something,
    /// This revision of it.
    Revision(u64),
}

impl Expected {
    /// Whether what is there is what must be: its revision, or `None` where there is nothing.
    pub fn is(self, present: Option<u64>) -> bool {
        match self {
            Self::Anything => true,
            Self::Nothing => present.is_none(),
            Self::Something => present.is_some(),
            Self::Revision(revision) => present == Some(revision),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Expected::*;

    #[test]
    fn each_is_what_it_says() {
        for (expected, of_nothing, of_the_third) in [
            (Anything, true, true),
            (Nothing, true, false),
            (Something, false, true),
            (Revision(3), false, true),
            (Revision(2), false, false),
        ] {
            assert_eq!((expected.is(None), expected.is(Some(3))), (of_nothing, of_the_third), "{expected:?}");
        }
    }
}
