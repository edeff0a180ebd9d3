# Latchkey's functions on AWS may act as the functions of the same name here, by a signed request instead of a key. Only where aws_account says whose.

locals {
  aws_functions = var.aws_account == "" ? toset([]) : toset(["read", "keys", "rotate"])
}

resource "google_iam_workload_identity_pool" "aws" {
  count                     = var.aws_account == "" ? 0 : 1
  workload_identity_pool_id = "${var.name}-aws"
  display_name              = "Latchkey on AWS"
}

resource "google_iam_workload_identity_pool_provider" "aws" {
  count                              = var.aws_account == "" ? 0 : 1
  workload_identity_pool_id          = google_iam_workload_identity_pool.aws[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "functions"

  # A session's own name is its caller's choice, so trust goes by the role.
  attribute_mapping = {
    "google.subject"     = "assertion.arn"
    "attribute.aws_role" = "assertion.arn.extract('assumed-role/{role}/')"
  }
  attribute_condition = "assertion.account == '${var.aws_account}' && attribute.aws_role in ['${var.aws_deployment}-read', '${var.aws_deployment}-keys', '${var.aws_deployment}-rotate']"

  aws {
    account_id = var.aws_account
  }
}

resource "google_service_account_iam_member" "aws" {
  for_each           = local.aws_functions
  service_account_id = google_service_account.function[each.key].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.aws[0].name}/attribute.aws_role/${var.aws_deployment}-${each.key}"
}
