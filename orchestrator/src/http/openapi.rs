//! `GET /api/v1/openapi.json`: what this API is (`OpenAPI` 3.1), from the paths and the types themselves.

mod described;

use std::sync::LazyLock;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, header};
use longshore_fleet::api::{Code, Problem};
use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{Call, Outcome, acting, route::Shape};
use crate::error::Error;
use described::{Described, describe};

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

pub fn openapi<B>(call: &Call<B>) -> Outcome {
    acting::no_parameters(call)?;
    let mut response: Response<Body> = Response::new(Body::from(DOCUMENT.clone()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok::<_, Error>(response)
}

/// The whole document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<Problem>();
    let mut paths: Map<String, Value> = Map::new();
    for shape in Shape::ALL {
        let mut item = Map::new();
        let parameters = path_parameters(shape.path());
        if !parameters.is_empty() {
            item.insert("parameters".to_owned(), Value::Array(parameters));
        }
        for method in shape.methods() {
            let operation = operation(*shape, method, &mut generator);
            item.insert(method.as_str().to_ascii_lowercase(), operation);
        }
        paths.insert(shape.path().to_owned(), Value::Object(item));
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Longshore orchestrator",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Declared state in, running containers out. Every change names what it saw, and a named operation is done once.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {"Problem": {
                "description": format!("Why it was not done. `code` is one of {}.", codes()),
                "content": {"application/problem+json": {"schema": problem}},
            }},
            "securitySchemes": {
                "registry": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "A token of the registry, with scopes on namespaces: `namespace:NAME:view,rollback,deploy,admin`."},
                "node": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "A token that a node signs with its own key."},
            },
        },
    })
}

fn codes() -> String {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    codes.join(", ")
}

/// The parameters that stand in a path.
fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    names.map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}})).collect()
}

fn operation(shape: Shape, method: &Method, generator: &mut SchemaGenerator) -> Value {
    let Described { summary, query, headers, request, response } = describe(shape, method);
    let place = |name: &str, place: &str, (kind, words): (&str, &str)| json!({"name": name, "in": place, "schema": {"type": kind}, "description": words});
    let mut parameters: Vec<Value> = Vec::new();
    parameters.extend(query.iter().map(|(name, kind, words)| place(name, "query", (kind, words))));
    parameters.extend(headers.iter().map(|(name, kind, words)| place(name, "header", (kind, words))));
    let mut operation = json!({
        "operationId": format!("{}_{}", method.as_str().to_ascii_lowercase(), shape.label()),
        "summary": summary,
        "parameters": parameters,
        "responses": {"default": {"$ref": "#/components/responses/Problem"}},
    });
    let security = match shape {
        Shape::OpenApi | Shape::Join => json!([]),
        Shape::Instructions | Shape::Reports | Shape::AgentLogs => json!([{"node": []}]),
        _ => json!([{"registry": []}]),
    };
    operation["security"] = security;
    if let Some((content_type, schema)) = request {
        operation["requestBody"] = json!({"required": true, "content": content(content_type, &schema(generator))});
    }
    let (status, content_type, schema) = response;
    let mut answer = json!({"description": "It was done."});
    if let Some(schema) = schema {
        answer["content"] = content(content_type, &schema(generator));
    }
    operation["responses"][status.to_string()] = answer;
    operation
}

fn content(content_type: &str, schema: &Schema) -> Value {
    let mut content = Map::new();
    content.insert(content_type.to_owned(), json!({"schema": schema}));
    Value::Object(content)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http::Method;

    use super::{super::route::tests::example, *};
    use crate::http::route::Route;

    /// The references of a document, wherever they stand.
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    found.insert(reference.clone());
                }
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_path_and_method_is_documented_and_routes() {
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.len(), Shape::ALL.len());
        for shape in Shape::ALL {
            let documented = paths[shape.path()].as_object().unwrap();
            let methods: BTreeSet<String> = documented.keys().filter(|key| *key != "parameters").cloned().collect();
            let there: BTreeSet<String> = shape.methods().iter().map(|method| method.as_str().to_ascii_lowercase()).collect();
            assert_eq!(methods, there, "{}", shape.path());
            let route = Route::parse(&example(*shape)).unwrap();
            for method in methods {
                let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
                assert!(route.shape().has(&method), "{method} {}", shape.path());
            }
        }
    }

    #[test]
    fn every_request_and_answer_has_a_schema() {
        let document = document();
        for shape in Shape::ALL {
            for method in shape.methods() {
                let operation = &document["paths"][shape.path()][method.as_str().to_ascii_lowercase()];
                let told = format!("{method} {}", shape.path());
                let takes_body = matches!(*method, Method::PUT | Method::PATCH)
                    || *method == Method::POST && !matches!(shape, Shape::CancelOperation);
                assert_eq!(operation.get("requestBody").is_some(), takes_body, "{told}");
                let responses = operation["responses"].as_object().unwrap();
                let (status, answer) = responses.iter().find(|(status, _)| *status != "default").unwrap();
                assert_eq!(answer.get("content").is_some(), status != "204", "{told}");
                assert!(!operation["summary"].as_str().unwrap().is_empty(), "{told}");
            }
        }
    }

    #[test]
    fn references_lead_somewhere_and_no_two_types_share_a_name() {
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 50, "{found:?}");
        for reference in &found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(!name.ends_with(|sign: char| sign.is_ascii_digit()) && !name.contains("_for_"), "{name}");
        }
        let ids: Vec<&Value> = document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|item| item.as_object().unwrap().values())
            .filter_map(|operation| operation.get("operationId"))
            .collect();
        assert_eq!(ids.iter().map(|id| id.as_str()).collect::<BTreeSet<_>>().len(), ids.len());
    }

    #[test]
    fn a_deployment_may_name_its_operation_and_nothing_that_is_no_field() {
        let document = document();
        let schema = &document["components"]["schemas"]["DeploymentRequest"];
        for field in ["name", "image", "replicas", "env", "operationId", "revision"] {
            assert!(schema["properties"].get(field).is_some(), "{field} is missing in {schema}");
        }
        assert_eq!(schema["required"], json!(["name", "image"]), "{schema}");
        let closed = [schema.get("additionalProperties"), schema.get("unevaluatedProperties")];
        assert!(closed.contains(&Some(&json!(false))), "{schema}");
    }
}
