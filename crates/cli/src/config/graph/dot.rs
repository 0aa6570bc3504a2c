//! For Graphviz.

use outrider_config::expanded::ExpandedWorkflow;
use outrider_model::plan::JobKind;

use super::facts::{condition, facts};

/// A graph with a cluster for each workflow.
pub fn draw(workflows: &[ExpandedWorkflow]) -> String {
    let clusters = workflows.iter().enumerate();
    let clusters: String = clusters
        .map(|(index, workflow)| cluster(index, workflow))
        .collect();
    format!("digraph {{\n  rankdir=LR;\n  node [shape=box];\n{clusters}}}\n")
}

fn cluster(index: usize, workflow: &ExpandedWorkflow) -> String {
    let mut text = format!(
        "  subgraph cluster_{index} {{\n    label={};\n",
        quoted(&[&workflow.name])
    );
    let id = |name: &str| {
        let at = workflow.jobs.iter().position(|job| job.plan.name == name);
        at.map(|at| format!("w{index}j{at}"))
    };
    for (at, job) in workflow.jobs.iter().enumerate() {
        let shape = match job.plan.kind {
            JobKind::Approval => ", shape=hexagon",
            _ => "",
        };
        let facts = facts(job).join(", ");
        let lines: &[&str] = match facts.is_empty() {
            true => &[&job.plan.name],
            false => &[&job.plan.name, &facts],
        };
        text += &format!("    w{index}j{at} [label={}{shape}];\n", quoted(lines));
    }
    for (at, job) in workflow.jobs.iter().enumerate() {
        for requirement in &job.plan.requires {
            let Some(from) = id(&requirement.job) else {
                continue;
            };
            let label = condition(requirement)
                .map_or_else(String::new, |it| format!(" [label={}]", quoted(&[&it])));
            text += &format!("    {from} -> w{index}j{at}{label};\n");
        }
    }
    text + "  }\n"
}

/// Lines that Graphviz shows as they are.
fn quoted(lines: &[&str]) -> String {
    let escape = |c: char| match c {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        c if c.is_control() => " ".to_owned(),
        c => c.to_string(),
    };
    let lines = lines
        .iter()
        .map(|line| line.chars().map(escape).collect::<String>());
    format!("\"{}\"", lines.collect::<Vec<_>>().join("\\n"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn nothing_in_a_name_means_anything() {
        assert_eq!(quoted(&["a \"b\" \\N\n", "c"]), r#""a \"b\" \\N \nc""#);
    }
}
