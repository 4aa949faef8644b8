use http::Method;
use serde_json::{Value, json};

use super::{Answer, Client};

/// Somebody who may call: a name, and the secret that proves it.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// A robot's secret, or a person's password.
    pub secret: String,
}

impl Account {
    /// One of this name and secret, whether there is such a one or not.
    pub fn of(name: &str, secret: &str) -> Self {
        Self { name: name.into(), secret: secret.into() }
    }
}

/// What administrators do. Each of these panics where the registry does not do it.
impl Client {
    /// Sends JSON.
    pub async fn send_json(&self, method: Method, location: &str, json: &Value) -> Answer {
        self.send_text(method, location, &json.to_string()).await
    }

    /// Sends a text that is said to be JSON.
    pub async fn send_text(&self, method: Method, location: &str, text: &str) -> Answer {
        let request = self.request(method, location).header("content-type", "application/json");
        Answer::to(request.body(text.to_owned())).await
    }

    /// Makes a robot that may do these actions, each on the repositories of a pattern.
    pub async fn create_robot(&self, name: &str, roles: &[(&str, &str)]) -> Account {
        let answer = self.create_account(&json!({"name": name, "kind": "robot", "roles": roles_json(roles)})).await;
        let secret = answer["secret"].as_str().expect("a robot's secret is shown once").to_owned();
        Account { name: name.into(), secret }
    }

    /// Makes a person with a password.
    pub async fn create_person(&self, name: &str, password: &str, roles: &[(&str, &str)]) -> Account {
        let account = json!({"name": name, "kind": "person", "password": password, "roles": roles_json(roles)});
        let answer = self.create_account(&account).await;
        assert!(answer.get("secret").is_none(), "who gives a password knows it: {answer}");
        Account::of(name, password)
    }

    /// Makes an account; gives back all that was said of it.
    pub async fn create_account(&self, account: &Value) -> Value {
        self.send_json(Method::POST, "/v2/_longshore/accounts", account).await.expect(201).json()
    }

    /// Changes an account; gives back all that was said of it.
    pub async fn change_account(&self, name: &str, change: &Value) -> Value {
        self.send_json(Method::PATCH, &format!("/v2/_longshore/accounts/{name}"), change).await.expect(200).json()
    }

    /// Deletes an account.
    pub async fn delete_account(&self, name: &str) {
        self.delete(&format!("/v2/_longshore/accounts/{name}")).await.expect(204);
    }

    /// Lets a subject do an action on the repositories of a pattern; gives back the role's id.
    pub async fn grant(&self, subject: &str, action: &str, repositories: &str) -> String {
        let role = json!({"subject": subject, "actions": [action], "repositories": repositories});
        let role = self.send_json(Method::POST, "/v2/_longshore/roles", &role).await.expect(201).json();
        role["id"].as_str().expect("a role has an id").to_owned()
    }

    /// Takes a role back.
    pub async fn revoke(&self, role: &str) {
        self.delete(&format!("/v2/_longshore/roles/{role}")).await.expect(204);
    }
}

fn roles_json(roles: &[(&str, &str)]) -> Value {
    roles.iter().map(|(action, repositories)| json!({"actions": [action], "repositories": repositories})).collect()
}
