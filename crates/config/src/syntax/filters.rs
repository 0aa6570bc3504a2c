//! `filters` of a job and of a schedule.

use super::Reader;
use super::keys::{FILTERS, RULE, SCHEDULE_FILTERS};
use crate::expanded::{Filters, Rule};
use crate::pattern::{Pattern, in_slashes};
use crate::yaml::{Node, Value};

/// The `filters` of a job.
pub(crate) enum WrittenFilters {
    /// Rules for branches and tags.
    Rules(Filters),
    /// An expression.
    Expression(Node),
}

impl Reader<'_> {
    pub(super) fn filters(self, node: &Node) -> Option<WrittenFilters> {
        if node.as_scalar().is_some() {
            return Some(WrittenFilters::Expression(node.clone()));
        }
        let mapping = self.mapping(node, "`filters`")?;
        self.check_keys(mapping, &FILTERS);
        let rule = |key| mapping.present(key).map(|node| self.rule(node, key));
        Some(WrittenFilters::Rules(Filters::Rules {
            branches: rule("branches"),
            tags: rule("tags"),
        }))
    }

    /// The `filters` of a schedule, which are about branches only.
    pub(super) fn schedule_filters(self, node: &Node) -> Option<Rule> {
        let mapping = self.mapping(node, "`filters`")?;
        self.check_keys(mapping, &SCHEDULE_FILTERS);
        let branches = self.required_key(mapping, "branches", node.span)?;
        Some(self.rule(branches, "branches"))
    }

    /// `only` and `ignore`.
    pub(crate) fn rule(self, node: &Node, key: &str) -> Rule {
        let Some(mapping) = self.mapping(node, &format!("`{key}`")) else {
            return Rule::default();
        };
        self.check_keys(mapping, &RULE);
        let patterns = |key| mapping.present(key).map(|node| self.patterns(node, key));
        Rule {
            only: patterns("only"),
            ignore: patterns("ignore"),
        }
    }

    fn patterns(self, node: &Node, key: &str) -> Vec<Pattern> {
        let nodes = match &node.value {
            Value::Sequence(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let patterns = nodes.iter();
        patterns
            .filter_map(|node| {
                let text = self.name(node, &format!("an entry of `{key}`"))?;
                match in_slashes(&text) {
                    _ if self.unknown(node) => None,
                    None => Some(Pattern::name(text)),
                    Some(inside) => {
                        let regex = self.cx.regex(inside, || node.span)?;
                        Some(Pattern::regex(text, regex))
                    }
                }
            })
            .collect()
    }
}
