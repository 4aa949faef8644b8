use http::HeaderValue;
use longshore_client::{Credentials, Shown};

/// Who asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Identity {
    /// Nobody in particular.
    Anonymous,
    /// The edge, by the credentials of its own; nobody in particular where it has none.
    Edge,
    /// A client, by its own `Authorization`, which is sent as it is. Where that is empty none is sent, nor is an anonymous token fetched.
    Caller(HeaderValue),
}

/// Who asks, with what it shows.
#[derive(Clone, Debug)]
pub(super) enum Asker {
    Anonymous,
    Edge(Option<Credentials>),
    Caller(HeaderValue),
    /// For what is open to all; not even an anonymous token is fetched.
    Nobody,
}

impl Asker {
    /// What the registry is shown.
    pub(super) fn shown(&self) -> Shown {
        match self {
            Self::Anonymous | Self::Edge(_) => Shown::Own,
            Self::Caller(authorization) if !authorization.is_empty() => Shown::This(authorization.clone()),
            Self::Caller(_) | Self::Nobody => Shown::Nothing,
        }
    }

    /// Whose requests wait together when the registry asks for it, as a number. A caller's wait for nobody and nobody for them: it is
    /// not for one to keep the others away.
    pub(super) fn together(&self) -> Option<usize> {
        match self {
            Self::Anonymous | Self::Nobody | Self::Edge(None) => Some(0),
            Self::Edge(Some(_)) => Some(1),
            Self::Caller(_) => None,
        }
    }
}
