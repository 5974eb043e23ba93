// Sends the form, so that nobody needs to press its button.
document.getElementById("saml").submit();
