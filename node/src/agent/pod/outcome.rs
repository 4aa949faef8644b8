use super::Seen;

/// What came of an [`Action`](super::Action) that was carried out.
#[derive(Clone, Debug)]
pub enum Done {
    /// What the runtime has.
    Seen(Box<Seen>),
    /// Whether the image is here, and as whom it runs.
    Image(Option<ImageUser>),
    /// It is done. What there is now is to be looked at.
    Changed,
    /// Nothing is left of the pod's folder.
    Cleared,
}

/// As whom an image runs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ImageUser {
    /// By number.
    pub uid: Option<i64>,
    /// By name; empty where it has none.
    pub name: String,
}

/// Why an action was not carried out.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Whether the runtime is away: it is tried again once it is back, and is no fault of the pod.
    pub is_down: bool,
    /// What it was, in words.
    pub message: String,
}
