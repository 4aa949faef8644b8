use clap::Args;
use longshore_client::{Action, Grant};
use longshore_oci::NamespaceRight;

/// What may be done where. A pattern is a repository's name, `team/*`, `team/**`, or `**` for all; of namespaces a name, `team-*`, or `*` for
/// all.
#[derive(Args, Default)]
pub struct GrantArguments {
    /// May pull from these repositories: a name, `team/*`, `team/**`, or `**` for all
    #[arg(long, value_name = "PATTERN")]
    pull: Vec<String>,
    /// May push to these, and pull
    #[arg(long, value_name = "PATTERN")]
    push: Vec<String>,
    /// May delete from these, and pull
    #[arg(long, value_name = "PATTERN")]
    delete: Vec<String>,
    /// May add signatures and attestations to what these hold, and pull
    #[arg(long, value_name = "PATTERN")]
    sign: Vec<String>,
    /// May do everything with these; `**` is the whole registry with its accounts, and the whole fleet
    #[arg(long, value_name = "PATTERN")]
    admin: Vec<String>,
    /// May look at what is in these namespaces of the fleet: a name, `team-*`, or `*` for all, and for the nodes
    #[arg(long, value_name = "NAMESPACE")]
    view: Vec<String>,
    /// May scale and roll back what is in these, and look
    #[arg(long, value_name = "NAMESPACE")]
    rollback: Vec<String>,
    /// May change what runs in these, and all of --rollback
    #[arg(long, value_name = "NAMESPACE")]
    deploy: Vec<String>,
    /// May do everything in these; `*` is the whole fleet, with its namespaces and nodes
    #[arg(long, value_name = "NAMESPACE")]
    namespace_admin: Vec<String>,
}

impl GrantArguments {
    /// A grant for each pattern, with all that may be done there, in the order in which patterns are first named; those on repositories
    /// first.
    pub fn grants(&self) -> Vec<Grant> {
        let on_repositories = gathered([
            (Action::Pull, &self.pull),
            (Action::Push, &self.push),
            (Action::Delete, &self.delete),
            (Action::Sign, &self.sign),
            (Action::Admin, &self.admin),
        ]);
        let on_namespaces = gathered([
            (NamespaceRight::View, &self.view),
            (NamespaceRight::Rollback, &self.rollback),
            (NamespaceRight::Deploy, &self.deploy),
            (NamespaceRight::Admin, &self.namespace_admin),
        ]);
        let on_repositories =
            on_repositories.into_iter().map(|(repositories, actions)| Grant::Repositories { actions, repositories });
        let on_namespaces = on_namespaces.into_iter().map(|(namespaces, actions)| Grant::Namespaces { actions, namespaces });
        on_repositories.chain(on_namespaces).collect()
    }
}

/// Each pattern with all that is to be done there.
fn gathered<A: Copy + PartialEq, const N: usize>(wanted: [(A, &Vec<String>); N]) -> Vec<(String, Vec<A>)> {
    let mut gathered: Vec<(String, Vec<A>)> = Vec::new();
    for (action, patterns) in wanted {
        for pattern in patterns {
            match gathered.iter_mut().find(|(there, _)| there == pattern) {
                Some((_, actions)) if actions.contains(&action) => {}
                Some((_, actions)) => actions.push(action),
                None => gathered.push((pattern.clone(), vec![action])),
            }
        }
    }
    gathered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathers_what_may_be_done_in_one_place() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let arguments = GrantArguments {
            pull: texts(&["**", "prod/*", "**"]),
            push: texts(&["prod/*"]),
            sign: texts(&["team/app"]),
            view: texts(&["*"]),
            deploy: texts(&["prod", "*"]),
            ..GrantArguments::default()
        };
        let shown: Vec<String> = arguments.grants().iter().map(ToString::to_string).collect();
        let expected = [
            "pull on **",
            "pull, push on prod/*",
            "sign on team/app",
            "view, deploy in all namespaces",
            "deploy in namespace prod",
        ];
        assert_eq!(shown, expected);
        assert!(GrantArguments::default().grants().is_empty());
    }
}
