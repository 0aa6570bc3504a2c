//! In what a job runs: `machine` and `docker`.

use outrider_model::plan::{DockerImage, EnvironmentKind};

use super::Reader;
use super::keys::{DOCKER_IMAGE, MACHINE, MACOS};
use crate::diagnostic::{code, error};
use crate::yaml::{Node, Value};

/// A `machine`, with the keys of the job that may also stand in it.
#[derive(Default)]
pub(crate) struct Machine {
    pub(crate) image: Option<String>,
    pub(crate) resource_class: Option<Node>,
    pub(crate) shell: Option<Node>,
}

impl Reader<'_> {
    /// `machine: true`, `machine: image`, or a mapping.
    pub(crate) fn machine(self, node: &Node) -> Option<Machine> {
        let Value::Mapping(mapping) = &node.value else {
            return self.plain_machine(node);
        };
        self.check_keys(mapping, &MACHINE);
        if let Some(enabled) = mapping.present("enabled")
            && self.boolean(enabled, "`enabled`") == Some(false)
        {
            self.refuse_disabled(enabled);
        }
        Some(Machine {
            image: mapping
                .present("image")
                .and_then(|image| self.name(image, "`image`")),
            resource_class: mapping.present("resource_class").cloned(),
            shell: mapping.present("shell").cloned(),
        })
    }

    fn plain_machine(self, node: &Node) -> Option<Machine> {
        match node.as_scalar().and_then(|scalar| scalar.boolean()) {
            Some(true) => Some(Machine::default()),
            Some(false) => {
                self.refuse_disabled(node);
                None
            }
            None => {
                let image = Some(self.name(node, "`machine`")?);
                Some(Machine {
                    image,
                    ..Machine::default()
                })
            }
        }
    }

    fn refuse_disabled(self, node: &Node) {
        self.report(
            error(
                code::BAD_VALUE,
                node.span,
                "`machine` cannot be switched off",
            )
            .help("write `machine: true`, or remove `machine` and use `docker`"),
        );
    }

    /// `docker`: the images, the primary one first.
    pub(crate) fn docker(self, node: &Node) -> Option<EnvironmentKind> {
        let items = self.sequence(node, "`docker`")?;
        if items.is_empty() {
            self.report(
                error(code::BAD_VALUE, node.span, "`docker` names no image")
                    .help("add one: `- image: cimg/base:stable`"),
            );
            return None;
        }
        // Every image is read, so that all errors are found.
        let images: Vec<_> = items.iter().map(|item| self.docker_image(item)).collect();
        let images: Option<Vec<_>> = images.into_iter().collect();
        images.map(|images| EnvironmentKind::Docker { images })
    }

    fn docker_image(self, node: &Node) -> Option<DockerImage> {
        let mapping = self.mapping(node, "an entry of `docker`")?;
        self.check_keys(mapping, &DOCKER_IMAGE);
        let words = |key: &str| {
            mapping
                .present(key)
                .map(|node| self.words(node, &format!("`{key}`")))
                .unwrap_or_default()
        };
        let text = |key: &str| {
            mapping
                .present(key)
                .and_then(|node| self.text(node, &format!("`{key}`")))
        };
        let (entrypoint, command) = (words("entrypoint"), words("command"));
        let (name, user) = (text("name"), text("user"));
        let auth = self.registry_auth(mapping);
        let environment = mapping
            .get("environment")
            .map(|node| self.environment(node));
        let Some(image) = mapping.present("image") else {
            self.report(
                error(
                    code::MISSING_KEY,
                    node.span,
                    "an entry of `docker` has no `image`",
                )
                .help("add one: `image: cimg/base:stable`"),
            );
            return None;
        };
        let image = self.name(image, "`image`")?;
        let environment = environment.unwrap_or_default();
        Some(DockerImage {
            image,
            name,
            entrypoint,
            command,
            user,
            environment,
            auth,
        })
    }

    /// `macos`: the version of Xcode.
    pub(crate) fn macos(self, node: &Node) -> Option<EnvironmentKind> {
        let mapping = self.mapping(node, "`macos`")?;
        self.check_keys(mapping, &MACOS);
        let xcode = self.required_key(mapping, "xcode", node.span)?;
        let xcode = self.name(xcode, "`xcode`")?;
        Some(EnvironmentKind::Macos { xcode })
    }

    /// A command line as a list of words, or as one text that is split at spaces outside quotes.
    fn words(self, node: &Node, what: &str) -> Vec<String> {
        match &node.value {
            Value::Scalar(_) => self
                .text(node, what)
                .map(|text| split(&text))
                .unwrap_or_default(),
            _ => {
                let items = self.sequence(node, what).map(|items| items.as_slice());
                let items = items.unwrap_or_default().iter();
                items
                    .filter_map(|item| self.text(item, &format!("a word of {what}")))
                    .collect()
            }
        }
    }
}

fn split(text: &str) -> Vec<String> {
    let mut words = vec![];
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(
            split("postgres -c 'a b' \"\""),
            ["postgres", "-c", "a b", ""]
        );
        assert_eq!(split("  "), Vec::<String>::new());
    }
}
