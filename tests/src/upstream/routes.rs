use jiff::Timestamp;
use serde_json::json;

use super::{
    State, lock,
    reply::Reply,
    request::Request,
    shelf::{Caller, Repository, Shelf},
};

/// The answer to a request, as it should be.
pub(super) fn answer(state: &State, request: &Request) -> Reply {
    let mut shelf = lock(&state.shelf);
    let caller = shelf.caller(request.header("authorization"));
    if !["GET", "HEAD"].contains(&request.method.as_str()) {
        return Reply::refusal(405, "UNSUPPORTED");
    }
    match request.path.as_str() {
        "/token" => token(&mut shelf, caller),
        "/v2/" if caller == Caller::False || (shelf.asks_everybody && caller == Caller::Unknown) => challenge(&shelf, None),
        "/v2/" => Reply::new(200, "application/json", "{}"),
        path => path
            .strip_prefix("/v2/")
            .map_or_else(|| Reply::refusal(404, "UNSUPPORTED"), |path| content(&shelf, request, path, &caller)),
    }
}

fn token(shelf: &mut Shelf, caller: Caller) -> Reply {
    let account = match caller {
        Caller::False => return Reply::refusal(401, "UNAUTHORIZED"),
        Caller::Account(name) => Some(name),
        Caller::Anonymous | Caller::Unknown => None,
    };
    let token = shelf.token(account);
    let said = json!({"token": token, "access_token": token, "expires_in": 300, "issued_at": Timestamp::now().to_string()});
    Reply::new(200, "application/json", said.to_string())
}

fn challenge(shelf: &Shelf, repository: Option<&str>) -> Reply {
    let scope = repository.map(|name| format!(",scope=\"repository:{name}:pull\"")).unwrap_or_default();
    let challenge = format!("Bearer realm=\"{}\",service=\"upstream\"{scope}", shelf.realm);
    Reply::refusal(401, "UNAUTHORIZED").with("WWW-Authenticate", &challenge)
}

fn content(shelf: &Shelf, request: &Request, path: &str, caller: &Caller) -> Reply {
    let parts = ["/manifests/", "/blobs/", "/tags/", "/referrers/"];
    let found = parts.iter().find_map(|part| path.rsplit_once(*part).map(|(name, rest)| (name, *part, rest)));
    let Some((name, part, rest)) = found else { return Reply::refusal(404, "UNSUPPORTED") };
    if !shelf.may_pull(caller, name) {
        return challenge(shelf, Some(name));
    }
    let Some(repository) = shelf.repository(name) else { return Reply::refusal(404, "NAME_UNKNOWN") };
    match part {
        "/manifests/" => manifest(repository, request, rest),
        "/blobs/" => repository.blobs.get(rest).map_or_else(
            || Reply::refusal(404, "BLOB_UNKNOWN"),
            |blob| Reply::content(request, "application/octet-stream", rest, blob),
        ),
        "/tags/" => {
            let tags: Vec<&String> = repository.tags.keys().collect();
            Reply::new(200, "application/json", json!({"name": name, "tags": tags}).to_string())
        }
        _ => {
            let index = json!({"schemaVersion": 2, "mediaType": crate::media_type::INDEX, "manifests": []});
            Reply::new(200, crate::media_type::INDEX, index.to_string())
        }
    }
}

fn manifest(repository: &Repository, request: &Request, reference: &str) -> Reply {
    let digest = repository.tags.get(reference).map_or(reference, String::as_str);
    match repository.manifests.get(digest) {
        Some((media_type, manifest)) => Reply::content(request, media_type, digest, manifest),
        None => Reply::refusal(404, "MANIFEST_UNKNOWN"),
    }
}
