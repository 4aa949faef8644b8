//! What one member of a site asks another: how that is written, and how it is read and found to be from a member.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header::RANGE, request::Parts};
use longshore_oci::{Digest, RangeRequest};

use super::{
    Member, SiteRepository, SiteSecret, rank,
    replays::{NotNew, Replays},
    signature::{Statement, Tag, nonce},
};
use crate::upstream::Identity;

/// What the paths begin with of all that members ask of each other.
pub const PREFIX: &str = "/v2/_longshore/site/";

/// Headers of a request: of which upstream, who asks whom, as whom the upstream is to be asked, and what shows that it is so.
const UPSTREAM: &str = "longshore-site-upstream";
const FROM: &str = "longshore-site-from";
const TO: &str = "longshore-site-to";
const IDENTITY: &str = "longshore-site-identity";
const AUTHORIZATION: &str = "longshore-site-authorization";
const HOP: &str = "longshore-site-hop";
const TIME: &str = "longshore-site-time";
const NONCE: &str = "longshore-site-nonce";
const SIGNATURE: &str = "longshore-site-signature";

/// An answer's header that says whose word it is; see [`Word`].
pub const WORD: &str = "longshore-site-word";
/// An answer's header that signs its content type and its body.
pub const ANSWER_SIGNATURE: &str = "longshore-site-answer-signature";

/// How many edges a request comes through at most, who asks included. Who is asked asks the upstream alone.
const HOP_LIMIT: u32 = 1;

/// What an answer without content says, where another home would say the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Word {
    /// The upstream refuses it to whom it was asked as.
    Refused,
    /// Nobody says what the blob's pieces are.
    Unvouched,
}

impl Word {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unvouched => "unvouched",
        }
    }

    /// What an answer's headers say.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(WORD)?.as_bytes();
        [Self::Refused, Self::Unvouched].into_iter().find(|word| word.as_str().as_bytes() == text)
    }
}

/// What is asked for of a blob, or of a manifest, which is none to its registry and is one to who keeps it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum What {
    /// Its bytes.
    Content,
    /// Its length, and its pieces' hashes.
    Pieces,
    /// The manifest that it is.
    Manifest,
}

impl What {
    fn word(self) -> &'static str {
        match self {
            Self::Content => "blobs",
            Self::Pieces => "metainfo",
            Self::Manifest => "manifests",
        }
    }
}

/// The path at which a member is asked.
pub fn path(place: &SiteRepository, what: What, digest: &Digest) -> String {
    format!("{PREFIX}{}/{}/{}/{digest}", place.upstream, place.repository, what.word())
}

fn read_path(path: &str, address: &str) -> Option<(SiteRepository, What, Digest)> {
    let (upstream, rest) = path.strip_prefix(PREFIX)?.split_once('/')?;
    let (rest, digest) = rest.rsplit_once('/')?;
    let (repository, what) = rest.rsplit_once('/')?;
    let what = [What::Content, What::Pieces, What::Manifest].into_iter().find(|known| known.word() == what)?;
    let place = SiteRepository { upstream: upstream.to_owned(), address: address.into(), repository: repository.parse().ok()? };
    (!upstream.is_empty()).then_some((place, what, digest.parse().ok()?))
}

/// The headers of a request of one member to another, and its signature; `upstream` is the address of that which the path names.
pub fn headers(
    secret: &SiteSecret,
    (from, to): (&Member, &Member),
    identity: &Identity,
    (path, upstream): (&str, &str),
    range: Option<&HeaderValue>,
    now: i64,
) -> (HeaderMap, Tag) {
    let (identity, authorization) = match identity {
        Identity::Anonymous => ("anonymous", None),
        Identity::Edge => ("edge", None),
        Identity::Caller(authorization) => ("caller", Some(authorization)),
    };
    let (time, nonce, hop) = (now.to_string(), nonce(), HOP_LIMIT.to_string());
    let shown = |value: Option<&HeaderValue>| value.and_then(|value| value.to_str().ok().map(str::to_owned)).unwrap_or_default();
    let statement = Statement {
        method: Method::GET.as_str(),
        path,
        range: &shown(range),
        upstream,
        from: from.as_str(),
        to: to.as_str(),
        identity,
        authorization: &shown(authorization),
        hop: &hop,
        time: &time,
        nonce: &nonce,
    };
    let tag = secret.sign(&statement);
    let mut headers = HeaderMap::new();
    let signature = hex::encode(tag);
    let members = [(UPSTREAM, upstream), (FROM, from.as_str()), (TO, to.as_str()), (IDENTITY, identity)];
    let others = [(HOP, hop.as_str()), (TIME, &time), (NONCE, &nonce), (SIGNATURE, &signature)];
    for (name, text) in members.into_iter().chain(others) {
        headers.insert(name, HeaderValue::from_str(text).expect("URLs, words and digits are visible ASCII"));
    }
    if let Some(authorization) = authorization {
        let mut authorization = authorization.clone();
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
    }
    headers.extend(range.map(|range| (RANGE, range.clone())));
    (headers, tag)
}

/// What a member asks.
pub struct Asked {
    /// Where the blob belongs.
    pub place: SiteRepository,
    /// What of it.
    pub what: What,
    /// The blob.
    pub digest: Digest,
    /// Which bytes.
    pub range: RangeRequest,
    /// As whom the upstream is to be asked.
    pub identity: Identity,
    /// The request's signature.
    pub tag: Tag,
}

/// Why a request is not taken: a status, and words for whoever looks into it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotTaken(pub StatusCode, pub &'static str);

impl Asked {
    /// Reads a request, where it is from a member, to this edge, of now and for the first time.
    pub fn read(parts: &Parts, secret: &SiteSecret, own: Option<&Member>, replays: &Replays, now: i64) -> Result<Self, NotTaken> {
        if parts.method != Method::GET {
            return Err(NotTaken(StatusCode::METHOD_NOT_ALLOWED, "edges of a site ask each other by GET alone"));
        }
        let one = |name| {
            let mut values = parts.headers.get_all(name).iter();
            let value = values.next().map_or(Some(""), |value| value.to_str().ok());
            let value = value.filter(|_| values.next().is_none());
            value.ok_or(NotTaken(StatusCode::BAD_REQUEST, "a header of an edge's request can't be read"))
        };
        let statement = Statement {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            range: one(RANGE.as_str())?,
            upstream: one(UPSTREAM)?,
            from: one(FROM)?,
            to: one(TO)?,
            identity: one(IDENTITY)?,
            authorization: one(AUTHORIZATION)?,
            hop: one(HOP)?,
            time: one(TIME)?,
            nonce: one(NONCE)?,
        };
        let unsigned = NotTaken(StatusCode::UNAUTHORIZED, "the request is not signed by the site's secret");
        let mut tag = Tag::default();
        hex::decode_to_slice(one(SIGNATURE)?, &mut tag).map_err(|_| unsigned)?;
        if !secret.is_of(&statement, &tag) {
            return Err(unsigned);
        }
        let own = own.filter(|own| own.as_str() == statement.to);
        let own =
            own.ok_or(NotTaken(StatusCode::MISDIRECTED_REQUEST, "the request is to another edge: see site.url of this one"))?;
        let sent = statement.time.parse().unwrap_or(i64::MIN);
        replays.take(&tag, sent, now).map_err(|not_new| match not_new {
            NotNew::Late => {
                NotTaken(StatusCode::UNAUTHORIZED, "the request is not of now: see to the clocks of the site's edges")
            }
            NotNew::Seen => NotTaken(StatusCode::UNAUTHORIZED, "the request was sent before"),
            NotNew::TooMany => NotTaken(StatusCode::SERVICE_UNAVAILABLE, "too much is asked at once; try again in a moment"),
        })?;
        if statement.hop.parse().ok().is_none_or(|hop: u32| hop > HOP_LIMIT) {
            return Err(NotTaken(StatusCode::LOOP_DETECTED, "the request comes through too many edges"));
        }
        let malformed = NotTaken(StatusCode::BAD_REQUEST, "the request is none that an edge of this version makes");
        let read = read_path(statement.path, statement.upstream).filter(|_| parts.uri.query().is_none());
        let (place, what, digest) = read.ok_or(malformed)?;
        let from = Member::parse(statement.from, true).map_err(|_| malformed)?;
        if !rank::is_before(own, &from, &digest) {
            return Err(NotTaken(StatusCode::LOOP_DETECTED, "who asks stands before this edge among the blob's homes"));
        }
        let identity = match statement.identity {
            "anonymous" => Identity::Anonymous,
            "edge" => Identity::Edge,
            "caller" => Identity::Caller(parts.headers.get(AUTHORIZATION).ok_or(malformed)?.clone()),
            _ => return Err(malformed),
        };
        let range = RangeRequest::parse(statement.range);
        Ok(Self { place, what, digest, range, identity, tag })
    }
}

#[cfg(test)]
mod tests {
    use longshore_oci::Algorithm;

    use super::*;

    const NOW: i64 = 1_700_000_000;
    const ADDRESS: &str = "127.0.0.1:5000 http://127.0.0.1:5000";

    struct Pair {
        secret: SiteSecret,
        asks: Member,
        home: Member,
        replays: Replays,
        path: String,
    }

    impl Pair {
        fn new() -> Self {
            let digest = Digest::of(Algorithm::Sha256, b"x");
            let both = ["https://a.example", "https://b.example"].map(|text| Member::parse(text, false).unwrap());
            let ranked = rank::first(&both, &digest, 2);
            let repository = "library/blobs/x".parse().unwrap();
            let place = SiteRepository { upstream: "127.0.0.1:5000".into(), address: ADDRESS.into(), repository };
            Self {
                secret: SiteSecret::new("a secret that is long").unwrap(),
                asks: ranked[1].clone(),
                home: ranked[0].clone(),
                replays: Replays::default(),
                path: path(&place, What::Content, &digest),
            }
        }

        fn request(&self, identity: &Identity) -> Parts {
            let range = HeaderValue::from_static("bytes=5-9");
            let (members, upstream) = ((&self.asks, &self.home), (self.path.as_str(), ADDRESS));
            let (headers, _) = headers(&self.secret, members, identity, upstream, Some(&range), NOW);
            let mut request = http::Request::get(&self.path).body(()).unwrap();
            *request.headers_mut() = headers;
            request.into_parts().0
        }

        fn read(&self, parts: &Parts, now: i64) -> Result<Asked, NotTaken> {
            Asked::read(parts, &self.secret, Some(&self.home), &self.replays, now)
        }
    }

    fn status(read: Result<Asked, NotTaken>) -> u16 {
        read.err().expect("it is not to be taken").0.as_u16()
    }

    #[test]
    fn what_is_written_is_read() {
        let pair = Pair::new();
        for identity in [Identity::Anonymous, Identity::Edge, Identity::Caller(HeaderValue::from_static("Bearer x"))] {
            let asked = pair.read(&pair.request(&identity), NOW + 60).expect("it is from a member");
            assert_eq!((asked.what, asked.digest), (What::Content, Digest::of(Algorithm::Sha256, b"x")));
            assert_eq!((asked.place.upstream.as_str(), asked.place.repository.as_str()), ("127.0.0.1:5000", "library/blobs/x"));
            assert_eq!((&*asked.place.address, asked.range), (ADDRESS, RangeRequest::parse("bytes=5-9")));
            assert!(match (asked.identity, identity) {
                (Identity::Caller(read), Identity::Caller(written)) => read == written,
                (read, written) => std::mem::discriminant(&read) == std::mem::discriminant(&written),
            });
        }
    }

    #[test]
    fn who_alters_it_has_nothing() {
        let pair = Pair::new();
        let altered = |change: &dyn Fn(&mut Parts)| {
            let mut parts = pair.request(&Identity::Caller(HeaderValue::from_static("Bearer x")));
            change(&mut parts);
            status(pair.read(&parts, NOW))
        };
        let set = |name: &'static str, value: &'static str| {
            altered(&|parts| drop(parts.headers.insert(name, HeaderValue::from_static(value))))
        };
        for (name, value) in [
            ("range", "bytes=0-9"),
            (UPSTREAM, "127.0.0.1:5000 http://127.0.0.1:5001"),
            (FROM, "https://c.example"),
            (TO, "https://c.example"),
            (IDENTITY, "edge"),
            (AUTHORIZATION, "Bearer y"),
            (HOP, "0"),
            (TIME, "1700000001"),
            (NONCE, "00"),
            (SIGNATURE, "00"),
        ] {
            assert_eq!(set(name, value), 401, "{name}");
            assert_eq!(altered(&|parts| drop(parts.headers.remove(name))), 401, "{name}");
            let twice = altered(&|parts| assert!(parts.headers.append(name, HeaderValue::from_static(value))));
            assert_eq!(twice, 400, "{name}");
        }
        assert_eq!(
            altered(&|parts| parts.uri = parts.uri.path().replace("blobs/sha256", "metainfo/sha256").parse().unwrap()),
            401
        );
        assert_eq!(altered(&|parts| parts.method = Method::HEAD), 405);
        let query = altered(&|parts| parts.uri = format!("{}?x", parts.uri.path()).parse().unwrap());
        assert_eq!(query, 400);
    }

    #[test]
    fn it_is_taken_once_and_soon_and_by_whom_it_is_to() {
        let pair = Pair::new();
        let parts = pair.request(&Identity::Edge);
        assert_eq!((status(pair.read(&parts, NOW + 61)), status(pair.read(&parts, NOW - 61))), (401, 401));
        assert!(pair.read(&parts, NOW + 1).is_ok());
        assert_eq!(status(pair.read(&parts, NOW + 2)), 401);
        let parts = pair.request(&Identity::Edge);
        let other = SiteSecret::new("another that is as long").unwrap();
        assert_eq!(status(Asked::read(&parts, &other, Some(&pair.home), &pair.replays, NOW)), 401);
        assert_eq!(status(Asked::read(&parts, &pair.secret, Some(&pair.asks), &pair.replays, NOW)), 421);
        assert_eq!(status(Asked::read(&parts, &pair.secret, None, &pair.replays, NOW)), 421);
        assert!(pair.read(&parts, NOW).is_ok());
    }

    #[test]
    fn nobody_is_asked_by_who_stands_before() {
        let mut pair = Pair::new();
        std::mem::swap(&mut pair.asks, &mut pair.home);
        assert_eq!(status(pair.read(&pair.request(&Identity::Edge), NOW)), 508);
        pair.asks = pair.home.clone();
        assert_eq!(status(pair.read(&pair.request(&Identity::Edge), NOW)), 508);
    }

    #[test]
    fn a_request_goes_through_one_edge() {
        let pair = Pair::new();
        for (hop, expected) in [("1", None), ("2", Some(508)), ("-1", Some(508)), ("", Some(508))] {
            let mut parts = pair.request(&Identity::Edge);
            parts.headers.insert(HOP, HeaderValue::from_static(hop));
            let text = |name: &str| parts.headers.get(name).map_or("", |value| value.to_str().unwrap());
            let tag = pair.secret.sign(&Statement {
                method: "GET",
                path: parts.uri.path(),
                range: text("range"),
                upstream: text(UPSTREAM),
                from: text(FROM),
                to: text(TO),
                identity: text(IDENTITY),
                authorization: text(AUTHORIZATION),
                hop,
                time: text(TIME),
                nonce: text(NONCE),
            });
            parts.headers.insert(SIGNATURE, HeaderValue::from_str(&hex::encode(tag)).unwrap());
            assert_eq!(pair.read(&parts, NOW).err().map(|error| error.0.as_u16()), expected, "{hop}");
        }
    }
}
