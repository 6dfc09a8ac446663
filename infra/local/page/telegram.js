// Signs in at the stand-in and hands the payload to the page that opened this dialog, as Telegram's own dialog does.
const form = document.querySelector('#login');

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const response = await fetch('/_local/telegram/login', {
    method: 'POST',
    body: new URLSearchParams(new FormData(form)),
  }).catch(() => undefined);
  if (!response?.ok || !window.opener) {
    document.querySelector('#problem').textContent = response
      ? 'Open this dialog from the login page.'
      : 'The platform does not answer: try again when it is back.';
    return;
  }
  window.opener.postMessage({ event: 'auth_result', result: await response.json() }, window.location.origin);
  window.close();
});
