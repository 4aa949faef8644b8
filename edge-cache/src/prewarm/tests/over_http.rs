//! Over HTTP.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn it_is_asked_for_and_followed_over_http() {
    let edge = Edge::roomy(true);
    let harbour = &edge.port.0;
    harbour.image(Some("a"), &[harbour.blob(3_000_000, 1)]);
    harbour.shut();
    let wish = json!({ "images": ["app:a"], "platforms": ["linux/amd64"], "pin": "7d" });
    let (status, body) = edge.ask(Method::POST, "/v2/_longshore/prewarm", "*/*", &wish).await;
    let begun: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &begun["state"], &begun["pin"]), (StatusCode::ACCEPTED, &json!("running"), &json!("168h")));
    let path = format!("/v2/_longshore/operations/{}", begun["id"].as_str().unwrap());
    let (_, same) = edge.ask(Method::POST, "/v2/_longshore/prewarm", "*/*", &wish).await;
    assert_eq!(serde_json::from_slice::<Value>(&same).unwrap()["id"], begun["id"]);
    harbour.open();
    let (status, events) = edge.ask(Method::GET, &path, "text/event-stream", &Value::Null).await;
    let events = String::from_utf8(events.to_vec()).unwrap();
    let last = events.trim_end().rsplit("event: operation\ndata: ").next().unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!((status, &last["state"], &last["bytesDone"]), (StatusCode::OK, &json!("done"), &json!(3_000_000)));
    let (_, told) = edge.ask(Method::GET, &path, "application/json", &Value::Null).await;
    assert_eq!(serde_json::from_slice::<Value>(&told).unwrap(), last);
    let (_, all) = edge.ask(Method::GET, "/v2/_longshore/operations", "*/*", &Value::Null).await;
    assert_eq!(serde_json::from_slice::<Value>(&all).unwrap()["operations"][0], last);
    for (method, path, body, expected) in [
        (Method::POST, "/v2/_longshore/prewarm", json!({ "images": [] }), (400, "OPERATION_INVALID")),
        (Method::GET, "/v2/_longshore/operations/op_x", Value::Null, (404, "OPERATION_UNKNOWN")),
        (Method::DELETE, "/v2/_longshore/operations/op_x", Value::Null, (404, "OPERATION_UNKNOWN")),
        (Method::GET, "/v2/_longshore/prewarm", Value::Null, (405, "UNSUPPORTED")),
    ] {
        let (status, told) = edge.ask(method, path, "*/*", &body).await;
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!((status.as_u16(), told["errors"][0]["code"].as_str().unwrap()), expected);
    }
}
