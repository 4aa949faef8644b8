use http::Method;

use super::{Answer, Client};

impl Client {
    /// Asks for a token for scopes, each a parameter of its own, with what this caller shows.
    pub async fn ask_token(&self, scopes: &[&str]) -> Answer {
        let query: Vec<(&str, &str)> = scopes.iter().map(|scope| ("scope", *scope)).collect();
        Answer::to(self.request(Method::GET, "/token").query(&query)).await
    }

    /// A token for what is granted of these scopes.
    pub async fn token(&self, scopes: &[&str]) -> String {
        let answer = self.ask_token(scopes).await.expect(200).json();
        answer["token"].as_str().expect("a token is a text").to_owned()
    }

    /// The same caller, who shows a token for these scopes in place of its secret.
    pub async fn with_token(&self, scopes: &[&str]) -> Self {
        self.as_bearer(&self.token(scopes).await)
    }
}
